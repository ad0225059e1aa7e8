"""What the site finds at a click is what the library finds there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from in_node import Samples, run_node
from PIL import Image

from freefill.server.site.build import SEGMENTER
from freefill.tasks import segment
from freefill.weights import third_party

SLOW = pytest.mark.slow
CLICKS = [
    pytest.param("street.jpg", "RGB", (216, 55), id="sign"),
    pytest.param("pagoda.jpg", "RGB", (560, 40), id="nothing"),
    pytest.param("bee.jpg", "RGB", (250, 200), id="too much", marks=SLOW),
    pytest.param("street.jpg", "LA", (216, 55), id="grey", marks=SLOW),
    pytest.param("coffee.jpg", "RGB", (300, 200), id="cup", marks=SLOW),
    pytest.param("pagoda.jpg", "RGBA", (210, 200), id="pagoda", marks=SLOW),
    pytest.param("bee.jpg", "RGB", (0, 0), id="corner", marks=SLOW),
]


def _photo(examples: Path, name: str, mode: str) -> Samples:
    with Image.open(examples / name) as image:
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize(("file", "mode", "point"), CLICKS)
def test_a_click_marks_what_it_marks_in_the_library(
    file: str,
    mode: str,
    point: tuple[int, int],
    examples: Path,
    site: Path,
    runtime: Path,
    tmp_path: Path,
) -> None:
    """The same pixels, and the same doubts in the same words; where nothing is, that is said."""
    photo = _photo(examples, file, mode)
    photo.tofile(tmp_path / "click.photo")
    height, width = photo.shape[:2]
    size = {"width": width, "height": height, "channels": photo.size // (width * height)}
    plan = {
        "modules": str(site),
        "runtime": str(runtime),
        "weights": str(third_party.BUNDLED / f"{SEGMENTER}.onnx"),
        "cases": [{"name": "click", **size, "x": point[0], "y": point[1]}],
    }
    (tmp_path / "cases.json").write_text(json.dumps(plan))
    (line,) = run_node(Path(__file__).parent / "picks.mjs", tmp_path)
    told = json.loads(line)
    expected = segment(Image.fromarray(photo, mode), at=[point], segmenter=SEGMENTER, force=True)
    doubt = str(expected.info.get("doubt", ""))
    if "U^2-Net takes nothing there" in doubt:
        assert "no object is seen there" in told["error"]
        return
    assert told["error"] is None
    assert told["doubt"] == doubt
    mask = np.fromfile(tmp_path / "click.mask", np.uint8).reshape(height, width) > 0
    both, either = (mask & expected.mask).sum(), (mask | expected.mask).sum()
    # Sums in another order may move an outline by a pixel; mostly they do not.
    assert both / either > 0.995
