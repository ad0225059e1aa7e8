"""``freefill page``: what it writes is tested in tests/server/site; here, what a person is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from freefill.server.site.build import SEGMENTER


def test_a_site_is_written_and_told_of(command: Any, runtime: Path, tmp_path: Path) -> None:
    ran = command("page", "--out", tmp_path / "site", "--runtime", runtime)
    assert ran.returncode == 0, ran.stderr
    assert f"{tmp_path / 'site'}: " in ran.stdout
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "site").glob("*.gz")}
    sees = sum(size for name, size in sizes.items() if name.startswith(SEGMENTER))
    fills = f"{(sum(sizes.values()) - sees) / 1e6:.1f}"
    assert f"network and runtime {fills} MB as they travel" in ran.stdout
    assert f"what sees objects {sees / 1e6:.1f} MB" in ran.stdout
    assert sees > 4e6
    assert (tmp_path / "site" / "index.html").is_file()
    again = command("page", "--out", tmp_path / "site", "--runtime", runtime)
    assert again.returncode == 2
    assert "holds a site already: --overwrite replaces it" in again.stderr


@pytest.mark.parametrize("what", ["nothing", "other", "weights"])
def test_what_is_missing_is_said_in_a_line(
    command: Any, runtime: Path, tmp_path: Path, what: str
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    out = tmp_path if what == "other" else tmp_path / "site"
    folder = tmp_path if what == "nothing" else runtime
    model = ["--model", "none.onnx"] if what == "weights" else []
    ran = command("page", "--out", out, "--runtime", folder, *model)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "site").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
