"""The documentation is whole: its pages, its links, what is made from the code, and its size.

The site itself is built by ``make docs``; mkdocs is not needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer
import yaml

from bundling import documents
from docsite import commands, generated, http, inventory, links, measured, settings
from freefill.cli.main import app
from freefill.lab.config import Config, StageConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
PAGES = [path.relative_to(ROOT) for path in sorted(DOCS.rglob("*.md"))]
PAGES += [Path(f"{name}.md") for name in ("README", "CONTRIBUTING", "SECURITY")]


def in_nav(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else in_nav(value)


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(in_nav(CONFIG["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def dead(page: Path, text: str) -> list[str]:
    """Give a page's links that lead nowhere."""
    found = []
    for target in links.targets(text):
        name, _, mark = target.partition("#")
        if not links.is_local(target) and not target.startswith("#"):
            continue
        file = ROOT / (links.resolved(PurePosixPath(page), target) if name else page)
        if not file.exists() or (mark and file.suffix == ".md" and mark not in anchors(file)):
            found.append(target)
    return found


@cache
def anchors(file: Path) -> set[str]:
    return links.anchors(generated.completed(file.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead(page, (ROOT / page).read_text("utf-8")) == []


def test_dead_links_are_found() -> None:
    text = "[a](files.md) [b](gone.md) ![c](demo.jpg) [d](files.md#nothing) [e](#here)\n## Here\n"
    assert dead(Path("docs/some.md"), text) == ["gone.md", "files.md#nothing", "#here"]
    assert dead(Path("docs/index.md"), "```\n[a](gone.md)\n```\n`[b](gone.md)`") == []


def test_nothing_is_asked_of_other_sites() -> None:
    assert CONFIG["theme"]["font"] is False
    # Material's offline plugin adds a script of unpkg.com unless one of this name is there.
    assert CONFIG["extra"]["polyfills"] == ["javascripts/iframe-worker.js"]
    for page in DOCS.rglob("*.md"):
        assert not re.findall(
            r"!\[[^\]]*\]\(https?:|<script|<img|<iframe (?!src=\"[\w/]+\.html\")",
            page.read_text("utf-8"),
        )


def test_links_out_of_the_documentation_become_pages_of_the_site() -> None:
    page, place = PurePosixPath("docs/how-to/a.md"), PurePosixPath("how-to/a.md")
    text = (
        "[a](../../SECURITY.md#what) [b](../files.md) `[c](../../SECURITY.md)` [d](https://x.org)"
    )
    turned = links.rewritten(page, text, place, lambda file: True)
    assert turned.startswith("[a](../source/SECURITY.md#what) [b](../files.md)")
    assert turned.endswith("[d](https://x.org)")
    code = links.as_page(ROOT, PurePosixPath("src/freefill/errors.py"))
    assert "exclude: true\n---\n# src/freefill/errors.py\n\n```{.python linenums" in code
    assert "class MaskError" in code


def test_everything_public_has_an_entry_and_a_docstring(tmp_path: Path) -> None:
    assert list(inventory.faults(DOCS / "reference")) == []
    (tmp_path / "python.md").write_text("::: freefill.fill\n")
    faults = list(inventory.faults(tmp_path))
    assert not any(fault.startswith("freefill.fill is") for fault in faults)
    assert any(fault.startswith("freefill.tasks.remove is public and has no") for fault in faults)


def test_what_is_public_and_says_nothing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from freefill.errors import MaskError

    monkeypatch.setattr(MaskError, "__doc__", None)
    assert list(inventory.faults(DOCS / "reference")) == [
        "freefill.errors.MaskError is public and has no docstring"
    ]


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    page = commands.page()
    group: Any = typer.main.get_command(app)
    sections = dict(re.findall(r"^#+ `freefill ([a-z ]+)`\n(.*?)(?=^#|\Z)", page, re.M | re.S))
    names = [(name, group.commands[name]) for name in group.commands]
    names += [
        (f"weights {name}", each) for name, each in group.commands["weights"].commands.items()
    ]
    assert set(sections) == {name for name, _ in names}
    for name, each in names:
        for parameter in each.params:
            for option in parameter.opts if parameter.param_type_name == "option" else []:
                assert option == "--help" or option in sections[name], (name, option)
    assert "* `--grow <int range>`: Widen the hole by this many pixels." in sections["fill"]
    assert "```console\n$ freefill fill photo.jpg --mask mask.png" in sections["fill"]
    assert page.count("```") % 2 == 0
    # Typer cuts off descriptions in the list of a group's commands.
    assert "* [`video`](#freefill-video): Fill the masked part of a clip, from other frames" in page
    assert "* [`remove`](#freefill-weights-remove): Delete weights that were pulled" in page
    assert not re.findall(r"^\* .*\.\.\.$", page, re.M)


def test_every_setting_is_on_the_page_of_settings() -> None:
    page = settings.page()
    values = Config().to_dict()
    for section in ("model", "data", "guidance", "loss", "train"):
        table = page.partition(f"## `[{section}]`")[2].partition("\n## ")[0]
        for name in values[section]:
            row = re.search(rf"^\| `{name}` \| (.+) \| (.+) \|$", table, re.M)
            assert row, (section, name)
            assert row[2].strip(), (section, name)
    assert "| `lr` | `0.0004` | Highest learning rate of the generator. |" in page
    assert "One of `plain`, `partial`, `gated`." in page
    assert set(StageConfig.__dataclass_fields__) <= set(re.findall(r"^\| `(\w+)`", page, re.M))


def test_every_route_is_on_the_page_of_http() -> None:
    page = http.page()
    for path, methods in http.described()["paths"].items():
        for method in methods:
            assert f"## {method.upper()} {path}\n" in page
    fill = page.partition("## POST /v1/fill\n")[2].partition("\n## ")[0]
    assert "| `grow` | integer, 0 to 256 | `0` |" in fill
    assert "| `image` | file | required |" in fill
    assert "| 429 | Too many are waiting | `application/problem+json` |" in fill
    assert "| 421 | The server is not called by this name |" in http.problems()


def test_every_variable_is_on_its_page() -> None:
    page = (DOCS / "reference/environment.md").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    # Kubernetes sets FREEFILL_PORT, and freefill does not read it.
    used = set(re.findall(r"FREEFILL_[A-Z]+", source)) - {"FREEFILL_PORT"}
    assert used == set(re.findall(r"FREEFILL_[A-Z]+", page))


def test_the_main_table_comes_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert documents.FROM in readme
    assert documents.TO in readme
    table = measured.main_table(readme)
    assert "| light |" in table
    assert "](../results/bundled.md)" in table
    with pytest.raises(ValueError, match="marks"):
        measured.main_table("# A project")


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 900
