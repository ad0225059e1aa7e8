"""The packed settings as the file that ``freefill train`` reads."""

from __future__ import annotations

import json
from pathlib import Path

from freefill.config import from_dict


def write(packed: Path, to: Path) -> None:
    """Check the packed settings, and write them as TOML."""
    to.write_text(from_dict(json.loads(packed.read_text("utf-8"))).to_toml(), "utf-8")
