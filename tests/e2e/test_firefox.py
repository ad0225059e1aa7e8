"""The studio in Firefox: as a folder of files, and where canvases answer with noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from firefox import Firefox
from hand import Server
from numpy.typing import NDArray
from PIL import Image
from test_site import StaticServer
from test_studio import _distance

from freefill.imaging.io import read_picture
from freefill.tasks import segment

pytestmark = pytest.mark.slow

Start = Callable[..., Firefox]
LINE = ((150.0, 100.0), (310.0, 180.0))
GUARD = {"privacy__resistFingerprinting": True}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Firefox; whatever the page asked for was of its own server."""
    started: list[Firefox] = []

    def begin(url: str, **preferences: object) -> Firefox:
        downloads = tmp_path / f"downloads-{len(started)}"
        downloads.mkdir()
        started.append(Firefox(url, downloads, **preferences))
        return started[-1]

    yield begin
    for hand in started:
        heard = hand("heard")
        hand.stop()
        assert heard["faults"] == []
        assert {
            url for url in heard["asked"] if not url.startswith((hand.url, "blob:", "data:"))
        } == set()
        assert hand.trap.asked == []


@pytest.fixture
def static(site: Path) -> Iterator[StaticServer]:
    server = StaticServer(site.parents[1])
    yield server
    server.stop()


@pytest.fixture
def photo(examples: Path, tmp_path: Path) -> Path:
    """A PNG, which a site reads without a canvas."""
    with Image.open(examples / "pagoda.jpg") as image:
        image.convert("RGB").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _check_mask(hand: Firefox, mask: NDArray[np.bool_]) -> None:
    """Check that what is marked are the pixels of the line that was drawn, and no others."""
    drawn, size = hand.evaluate(
        "[freefill.studio.state.ops[0].points, freefill.studio.state.ops[0].size]"
    )
    line = tuple(zip(drawn[::2], drawn[1::2], strict=True))
    # A pointer is at whole pixels of the window, of which two may be one of the photo's.
    assert np.abs(np.array([line[0], line[-1]]) - LINE).max() < 1
    away = _distance(mask.shape, line) - size / 2
    # On the very edge of the brush, a thousandth of a pixel decides.
    decided = np.abs(away) > 0.002
    assert decided.mean() > 0.999
    assert (mask[decided] == (away < 0)[decided]).all()


def _check_saved(saved: Path, photo: Path, mask: NDArray[np.bool_]) -> None:
    before, after = _pixels(photo), _pixels(saved)
    assert (after[~mask] == before[~mask]).all()
    assert (after[mask] != before[mask]).any(-1).mean() > 0.9


def test_a_site_fills_undoes_and_saves_the_second_time_offline(
    start: Start, static: StaticServer, photo: Path
) -> None:
    hand = start(static.url)
    assert "firefox" in hand("version").lower()
    hand.goto()
    for online in (True, False):
        hand.open(photo)
        hand.drag(*LINE)
        mask = hand.exported()
        _check_mask(hand, mask)
        hand.fill()
        hand("press", "Control+z")
        assert hand.evaluate("freefill.studio.state.patch") is None
        hand.fill()
        saved = hand.saved()
        assert saved.name == "photo_filled.png"
        _check_saved(saved, photo, mask)
        if online:
            hand.wait("document.getElementById('loading').hidden")
            hand.evaluate("navigator.serviceWorker.ready.then(() => true)")
            static.stop()
            hand("reload")
            hand.wait("document.body?.matches('.ready')")


def test_a_site_fills_a_jpeg(start: Start, static: StaticServer, examples: Path) -> None:
    hand = start(static.url).goto()
    hand.open(examples / "pagoda.jpg")
    hand.drag(*LINE)
    mask = hand.exported()
    hand.fill()
    saved = hand.saved()
    assert saved.name == "pagoda_filled.jpg"
    away = np.abs(_pixels(saved).astype(int) - _pixels(examples / "pagoda.jpg"))[~mask]
    assert away.mean() < 2


def test_a_site_picks_a_thing(
    start: Start, static: StaticServer, examples: Path, tmp_path: Path
) -> None:
    with Image.open(examples / "street.jpg") as image:
        image.save(tmp_path / "street.png")
    hand = start(static.url).goto()
    hand.open(tmp_path / "street.png")
    hand.tool("pick")
    hand("clickAt", *hand.at(216, 55))
    hand.wait("freefill.studio.history.undoes === 'Pick'")
    hand("press", "Enter")
    hand.wait("freefill.studio.history.undoes === 'Fill' && !freefill.studio.work")
    mask = hand.exported()
    found = segment(read_picture(tmp_path / "street.png"), at=[(216, 55)], segmenter="u2netp")
    assert (mask == found.mask).mean() > 0.999
    _check_saved(hand.saved(), tmp_path / "street.png", mask)


def test_a_site_in_a_browser_that_guards_its_canvases(
    start: Start, static: StaticServer, photo: Path, examples: Path
) -> None:
    """A PNG is filled and all is exact; a JPEG, which would be saved with noise, is refused."""
    hand = start(static.url, **GUARD).goto()
    assert _is_noise(hand)
    hand.open(photo)
    hand.drag(*LINE)
    mask = hand.exported()
    _check_mask(hand, mask)
    hand.fill()
    _check_saved(hand.saved(), photo, mask)
    hand.open(examples / "pagoda.jpg")
    hand.drag(*LINE)
    hand("click", "#fill")
    hand.wait("document.getElementById('errors').children.length > 0")
    assert "allow this site to read canvases" in hand.errors()


def test_a_served_studio_in_a_browser_that_guards_its_canvases(
    start: Start, server: Server, photo: Path, examples: Path
) -> None:
    hand = start(server.url, **GUARD).goto()
    assert _is_noise(hand)
    for path in (photo, examples / "pagoda.jpg"):
        hand.open(path)
        hand.drag(*LINE)
        mask = hand.exported()
        _check_mask(hand, mask)
        hand.fill()
        saved = hand.saved()
        assert saved.suffix == path.suffix
        if path == photo:
            _check_saved(saved, path, mask)
    hand.open(photo)
    hand("upload", "#mask-file", str(examples / "pagoda_mask.png"))
    hand.wait("freefill.studio.history.undoes === 'Import mask'")
    with Image.open(examples / "pagoda_mask.png") as image:
        expected = np.asarray(image.convert("L")) > 127
    assert (hand.exported() == expected).all()


def _is_noise(hand: Firefox) -> bool:
    """Tell whether a canvas gives back something else than what was drawn."""
    found: bool = hand.evaluate("""(() => {
      const context = document.createElement('canvas').getContext('2d');
      context.fillStyle = '#804020';
      context.fillRect(0, 0, 64, 64);
      const { data } = context.getImageData(0, 0, 64, 64);
      return data.some((value, i) => value !== [0x80, 0x40, 0x20, 255][i % 4]);
    })()""")
    return found
