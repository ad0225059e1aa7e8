"""A server as in a container: no permission beyond a user's, one folder to write to."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from live import form
from PIL import Image

import freefill

TOKEN = "a secret of many letters"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """One that nobody may write to, and one for temporary files."""
    closed, temporary = tmp_path / "closed", tmp_path / "temporary"
    closed.mkdir()
    temporary.mkdir()
    closed.chmod(0o555)
    yield closed, temporary
    closed.chmod(0o755)


def _unprivileged() -> list[str]:
    """Give what goes before a command so that permissions hold for it, for root, too."""
    if os.geteuid() != 0:
        return []
    found = shutil.which("setpriv")
    assert found, "setpriv (of util-linux) is needed where the tests run as root"
    return [found, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@pytest.mark.parametrize("home", ["closed", "missing", None])
def test_it_fills_and_leaves_nothing_anywhere(
    folders: tuple[Path, Path], examples: Path, tmp_path: Path, home: str | None
) -> None:
    closed, temporary = folders
    package = Path(freefill.__file__).parent
    before = _files(package)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
        "FREEFILL_TOKEN": TOKEN,
        "FREEFILL_HOST": "127.0.0.1",
        **({} if home is None else {"HOME": str(tmp_path / home)}),
    }
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0", "--workers", "1"]
    with subprocess.Popen(
        [*_unprivileged(), *command],
        cwd=closed,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+/", process.stdout.readline())
            assert found is not None, process.communicate()
            with httpx.Client(base_url=found[0], headers=HEADERS, timeout=60) as client:
                _ask(client, examples, tmp_path)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        finally:
            process.terminate()
            _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert children
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert told == "freefill: stopped\n"
    assert list(closed.iterdir()) == list(temporary.iterdir()) == []
    assert _files(package) == before
    assert not (tmp_path / "missing").exists()


def _ask(client: httpx.Client, examples: Path, scratch: Path) -> None:
    """Ask for what needs room: a JPEG that keeps its blocks, a body of megabytes, base64."""
    jpeg, mask = examples / "bee.jpg", examples / "bee_mask.png"
    answer = client.post("/v1/fill", files=form(jpeg, mask))
    assert answer.status_code == 200, answer.text
    # Without a place for temporary files it would say so here.
    assert json.loads(answer.headers["fill-details"])["notices"] == []
    large = scratch / "large.tif"
    Image.fromarray(np.zeros((1200, 1600, 3), np.uint8)).save(large)
    assert large.stat().st_size > 5e6
    hole = np.zeros((1200, 1600), bool)
    hole[500:600, 500:600] = True
    Image.fromarray(hole).save(scratch / "hole.png")
    assert client.post("/v1/fill", files=form(large, scratch / "hole.png")).status_code == 200
    body = {
        name: base64.b64encode(path.read_bytes()).decode()
        for name, path in (("image", jpeg), ("mask", mask))
    }
    assert client.post("/v1/fill", json=body).status_code == 200


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
