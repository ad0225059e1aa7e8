"""The main table, which stands in README.md and is written there by ``tools/bundle.py``."""

from __future__ import annotations

import re

# Those of `bundling.documents`, which cannot be imported without the lab.
TABLE = re.compile(
    r"<!-- the main table: written .*?-->(.*?)<!-- the main table: to here -->", re.S
)


def main_table(readme: str) -> str:
    """Give the table for a page of ``docs/explanation``.

    Args:
        readme: Text of README.md.

    Raises:
        ValueError: If it has no such table.
    """
    found = TABLE.search(readme)
    if found is None:
        raise ValueError("README.md lacks the marks of the main table")
    return found[1].strip().replace("](docs/", "](../")
