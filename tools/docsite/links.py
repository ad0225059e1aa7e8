"""Links between pages, and from pages to files of the repository that are no pages.

A link in a page is relative to its file, as it is read in the repository. On the site, files
outside ``docs`` that are linked become pages of their own below ``source/``, so that no link leaves
the site to nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^(```|~~~)", re.M)
SOURCE = "source"
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".json": "json", ".js": "js"}


def targets(text: str) -> Iterator[str]:
    """Give the targets of a page's links, those in blocks of code left out."""
    for part in prose(text):
        for found in LINK.finditer(part):
            yield found[2]


def prose(text: str) -> Iterator[str]:
    """Give what stands between the blocks of code."""
    inside = False
    kept: list[str] = []
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            inside = not inside
        elif not inside:
            kept.append(line)
    yield re.sub(r"`[^`\n]*`", "", "\n".join(kept))


def is_local(target: str) -> bool:
    """Tell whether a link stays in the repository.

    Examples:
        >>> is_local("files.md#orientation"), is_local("#here"), is_local("https://example.org")
        (True, False, False)
    """
    return not re.match(r"[a-z]+:|#", target)


def resolved(page: PurePosixPath, target: str) -> PurePosixPath:
    """Give a link's file, relative to the repository, for a page relative to it."""
    name = target.partition("#")[0]
    return PurePosixPath(os.path.normpath(page.parent / name))


def outside(page: PurePosixPath, text: str) -> Iterator[PurePosixPath]:
    """Give the files outside ``docs`` that a page links to."""
    for target in targets(text):
        if is_local(target) and (file := resolved(page, target)).parts[0] != "docs":
            yield file


def anchors(text: str) -> set[str]:
    r"""Give the anchors of a page's headings, as GitHub and the site both make them.

    Examples:
        >>> sorted(anchors("# Files: what is kept\n\n## `16` bits\n"))
        ['16-bits', 'files-what-is-kept']
    """
    found = set(re.findall(r'(?:id|name)="([^"]+)"', text))
    inside = False
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and (heading := re.match(r"#+ +(.*?)\s*(\{#([\w-]+)\})?$", line)):
            found.add(heading[3] or _slug(heading[1]))
    return found


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    plain = re.sub(r"[^\w\s-]", "", plain).strip().lower()
    return re.sub(r"[-\s]+", "-", plain)


def rewritten(
    page: PurePosixPath, text: str, place: PurePosixPath, exists: Callable[[PurePosixPath], bool]
) -> str:
    """Bring the links of a page to where their targets are on the site.

    Args:
        page: The page's file, relative to the repository.
        text: Its Markdown.
        place: Where it stands on the site, as a file relative to ``docs``.
        exists: Whether there is a file of the repository.

    Returns:
        The text with links to files outside ``docs`` turned to their pages below ``source/``.
    """

    def turned(found: re.Match[str]) -> str:
        target = found[2]
        if not is_local(target):
            return found[0]
        file = resolved(page, target)
        if not exists(file):
            return found[0]
        mark = target[target.find("#") :] if "#" in target else ""
        goal = site_place(file)
        return f"{found[1]}{os.path.relpath(goal, place.parent)}{mark}{found[3]}"

    # Blocks of code stay as they are.
    parts = re.split(r"(^(?:```|~~~).*?^(?:```|~~~)\s*$)", text, flags=re.M | re.S)
    return "".join(
        part if number % 2 else LINK.sub(turned, part) for number, part in enumerate(parts)
    )


def site_place(file: PurePosixPath) -> PurePosixPath:
    """Give where a file of the repository stands on the site.

    Examples:
        >>> str(site_place(PurePosixPath("docs/files.md")))
        'files.md'
        >>> str(site_place(PurePosixPath("src/freefill/errors.py")))
        'source/src/freefill/errors.py.md'
    """
    if file.parts[0] == "docs":
        return PurePosixPath(*file.parts[1:])
    if file.suffix == ".md":
        return PurePosixPath(SOURCE, *file.parts)
    return PurePosixPath(SOURCE, f"{file}.md")


def as_page(root: Path, file: PurePosixPath) -> str:
    """Give a file outside ``docs`` as a page: Markdown as it is, anything else as code."""
    text = (root / file).read_text("utf-8")
    if file.suffix == ".md":
        place = site_place(file)
        return rewritten(file, text, place, lambda path: (root / path).is_file())
    language = LANGUAGES.get(file.suffix, "text")
    # Whoever searches looks for what something does, not for where it is called.
    head = f"---\nsearch:\n  exclude: true\n---\n# {file}\n\n"
    return f'{head}```{{.{language} linenums="1"}}\n{text.rstrip()}\n```\n'
