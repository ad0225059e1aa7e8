"""What ``mkdocs build`` does beside its own work: pages from the code, and checks of the API."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):<code>(~?)([^<]+)</code>")
sys.path.insert(0, str(ROOT / "tools"))

from docsite import generated, inventory, links  # noqa: E402


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each file outside ``docs`` that a page links to, and check the API's pages."""
    # Here, as tests import this file where mkdocs is not installed.
    from mkdocs.exceptions import PluginError
    from mkdocs.structure.files import File

    if faults := list(inventory.faults(Path(config.docs_dir) / "reference")):
        raise PluginError("; ".join(faults))
    waiting = [
        file
        for page in files.documentation_pages()
        for file in _outside(PurePosixPath("docs", page.src_uri), page.content_string)
    ]
    done: set[PurePosixPath] = set()
    while waiting:
        file = waiting.pop()
        if file in done:
            continue
        done.add(file)
        text = links.as_page(ROOT, file)
        files.append(File.generated(config, str(links.site_place(file)), content=text))
        if file.suffix == ".md":
            waiting += _outside(file, (ROOT / file).read_text("utf-8"))
    return files


def _outside(page: PurePosixPath, text: str) -> list[PurePosixPath]:
    return [file for file in links.outside(page, text) if (ROOT / file).is_file()]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Write what is generated into a page, and bring its links to pages of the site."""
    place = PurePosixPath(page.file.src_uri)
    if place.parts[0] != links.SOURCE:
        file = PurePosixPath("docs") / place
        markdown = links.rewritten(file, markdown, place, lambda path: (ROOT / path).is_file())
    return generated.completed(markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Show the names that docstrings mark for Sphinx, such as ``:func:`fill```, as names."""

    def shown(found: re.Match[str]) -> str:
        name = found[2].rpartition(".")[2] if found[1] else found[2]
        return f"<code>{name}</code>"

    return ROLE.sub(shown, html)
