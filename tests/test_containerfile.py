"""The Containerfile: what an image of it may not become unseen."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def _stages() -> list[list[tuple[str, str]]]:
    """Give the instructions of each stage."""
    text = (ROOT / "Containerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    stages: list[list[tuple[str, str]]] = []
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line:
            name, _, rest = line.partition(" ")
            if name == "FROM":
                stages.append([])
            stages[-1].append((name, rest))
    return stages


def test_the_image_is_not_roots_and_serves() -> None:
    build, final = map(dict, _stages())
    user, _, group = final["USER"].partition(":")
    # Kubernetes' runAsNonRoot believes numbers alone.
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(final["ENTRYPOINT"]) == ["freefill"]
    assert json.loads(final["CMD"]) == ["serve"]
    # What is started as in the image asks for a token, and never has one in it.
    assert "FREEFILL_HOST=0.0.0.0" in final["ENV"]
    assert "TOKEN" not in (ROOT / "Containerfile").read_text().replace("wants FREEFILL_TOKEN", "")
    # The interpreter that the environment was made with is that of the image.
    assert build["FROM"].removesuffix(" AS build") == final["FROM"]
    assert re.search(r":\d+\.\d+\.\d+-", final["FROM"])


def test_nothing_but_pinned_packages_is_installed() -> None:
    runs = [rest for stage in _stages() for kind, rest in stage if kind == "RUN"]
    text = " && ".join(runs)
    # From Debian came Ghostscript, and with it programs in photos.
    assert not re.search(r"\b(apt|apt-get|dpkg|curl|wget|git)\b", text)
    installs = re.findall(r"\binstall\b[^&]*", text)
    assert len(installs) == 1
    assert "-c constraints.txt" in installs[0]


def test_every_package_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            name, version = re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)", line).groups()  # type: ignore[union-attr]
            pins[name] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["serve"]]
    own = [Requirement(text) for text in needed if text.startswith("freefill[")]
    needed = [text for text in needed if not text.startswith("freefill[")]
    needed += [text for one in own for extra in one.extras for text in extras[extra]]
    for name, version in pins.items():
        # Of what is installed here in the same version, it is known what that needs.
        with suppress(PackageNotFoundError):
            if metadata.version(name) == version:
                needed += metadata.requires(name) or []
    wanted = [Requirement(text) for text in needed]
    plain = {"extra": ""}
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate(plain)]
    assert len(wanted) > len(pins)
    for one in wanted:
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        assert name in pins, f"{one} is not pinned"
        assert one.specifier.contains(pins[name]), f"{one} is not met by {pins[name]}"


def test_all_that_is_copied_is_let_in_and_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    build = _stages()[0]
    copied = [name for kind, rest in build if kind == "COPY" for name in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    # What the package is built from, by its own word.
    project = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'^readme = "(.+)"$|^license-files = \["(.+)"\]$', project, re.M):
        assert "".join(name) in copied
