"""The parts of pages that are made from the code.

They stand between ``<!-- generated: NAME -->`` and ``<!-- to here -->``, in place of what is said
there to those who read the page in the repository.
"""

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
MARK = re.compile(r"^<!-- generated: (\w+) -->$.*?^<!-- to here -->$", re.MULTILINE | re.DOTALL)


def completed(text: str) -> str:
    """Write what is generated into a page.

    Raises:
        KeyError: If a page asks for something that there is not.
    """
    return MARK.sub(lambda found: PARTS[found[1]](), text)
