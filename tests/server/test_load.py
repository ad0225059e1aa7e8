"""Many clients at once against a server of its own: none lost, none wrong, none kept in memory."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from live import form
from PIL import Image, ImageOps

from freefill.masks.presets import free_form

FILLS, CLIENTS, SIDE = 200, 16, 512

Run = Any


@pytest.mark.slow
def test_two_hundred_fills_of_sixteen_clients(cli: Run, examples: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    sources = sorted(examples.glob("*.jpg"))
    for number in range(FILLS):
        # A third of them lossless: both ways of writing are at work at once.
        path = photos / f"{number:03}.{'png' if number % 3 == 0 else 'jpg'}"
        with Image.open(sources[number % len(sources)]) as image:
            ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)).save(path)
        hole = free_form(SIDE, SIDE, np.random.default_rng(number))
        Image.fromarray(hole).save(photos / f"{path.stem}_mask.png")
    assert cli("fill", photos, "--out", tmp_path / "out", timeout=600).returncode == 0
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found is not None
        with httpx.Client(base_url=found[0], timeout=120) as client:

            def ask(photo: Path) -> tuple[int, bool]:
                mask = photos / f"{photo.stem}_mask.png"
                answer = client.post("/v1/fill", files=form(photo, mask))
                expected = (tmp_path / "out" / photo.name).read_bytes()
                return answer.status_code, answer.content == expected

            names = [path for path in sorted(photos.iterdir()) if "_mask" not in path.name]
            with ThreadPoolExecutor(CLIENTS) as pool:
                outcomes = Counter(pool.map(ask, names))
            counted = client.get("/metrics").text
        process.terminate()
    assert outcomes == {(200, True): FILLS}
    assert f'freefill_fills_total{{outcome="filled"}} {FILLS}.0' in counted
    assert "freefill_in_work 0.0" in counted
