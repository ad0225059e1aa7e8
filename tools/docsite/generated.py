"""The parts of pages that are made from the code: ``<!-- generated: NAME -->`` on a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from docsite import commands, http, measured, settings

ROOT = Path(__file__).parents[2]
PARTS: dict[str, Callable[[], str]] = {
    "commands": commands.page,
    "settings": settings.page,
    "http": http.page,
    "problems": http.problems,
    "main_table": lambda: measured.main_table((ROOT / "README.md").read_text("utf-8")),
}
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.M)


def completed(text: str) -> str:
    """Write what is generated into a page.

    Raises:
        KeyError: If a page asks for something that there is not.
    """
    return MARK.sub(lambda found: PARTS[found[1]](), text)
