"""The Containerfile: what an image of it may not become unseen."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
    assert re.search(r":\d+\.\d+-", final["FROM"])


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
