"""What goes out: versions, extras and workflows that agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import freefill
from freefill.cli.doctor import PACKAGES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def named(extra: str) -> set[str]:
    """Give the packages that an extra brings, through the extras that it names."""
    found = set()
    for requirement in EXTRAS[extra]:
        if own := re.fullmatch(r"freefill\[([\w,]+)\]", requirement):
            found |= {package for one in own[1].split(",") for package in named(one)}
        else:
            found.add(re.match(r"[\w-]+", requirement)[0])  # type: ignore[index]
    return found


def test_the_version_is_said_once() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == freefill.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]


def test_the_change_log_dates_the_version_below_what_is_unreleased() -> None:
    # release.yml looks for the same heading before it publishes a tag.
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(freefill.__version__)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_every_extra_that_is_advised_exists() -> None:
    told = {
        extra
        for folder in ("src", "docs", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md"}
        for group in re.findall(r"freefill\[([a-z,]+)\]", path.read_text())
        for extra in group.split(",")
    }
    assert {"lab", "batch", "serve", "video"} <= told <= EXTRAS.keys()
    assert {
        one for extras in PACKAGES.values() for one in extras.split(",") if one
    } <= EXTRAS.keys()
    for package, extras in PACKAGES.items():
        for extra in filter(None, extras.split(",")):
            assert package in named(extra)


def test_all_brings_what_every_other_extra_for_users_does() -> None:
    for extra in EXTRAS.keys() - {"all", "dev", "docs"}:
        assert named(extra) <= named("all"), extra
    assert "ray" not in named("batch")
    assert "torch" not in named("serve") | named("ray") | named("video")


@pytest.mark.parametrize(
    ("system", "machine", "brought"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", True),
    ],
)
def test_jpeglib_is_asked_for_where_there_is_a_wheel(
    system: str, machine: str, brought: bool
) -> None:
    (line,) = EXTRAS["jpeg"]
    marker = Requirement(line).marker
    assert marker is not None
    given = {"sys_platform": system, "platform_machine": machine}
    assert marker.evaluate(given) is brought


def test_workflows_call_what_there_is() -> None:
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = []
    for name in ("ci", "release"):
        workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            steps += [step["run"] for step in job["steps"] if "run" in step]
    called = [step.split()[1] for step in steps if step.startswith("make ")]
    assert called
    assert set(called) <= targets
    for step in steps:
        if found := re.search(r"(?:python )?((?:\.ci|\.github)/\S+)", step):
            assert (ROOT / found[1]).is_file()


def test_a_fault_is_asked_for_with_what_doctor_prints() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/fault.yml").read_text())
    doctor = [field for field in form["body"] if "freefill doctor" in str(field)]
    assert doctor
    assert doctor[0]["validations"]["required"]
    ids = [field["id"] for field in form["body"] if "id" in field]
    assert len(set(ids)) == len(ids)
