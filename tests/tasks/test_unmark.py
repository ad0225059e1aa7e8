"""unmark in Python, on the command line and over HTTP: what goes, what stays, what is refused."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from starlette.testclient import TestClient

from freefill.errors import DoubtError, ImageError, MaskError
from freefill.imaging.box import Box
from freefill.pipeline.inpainter import Inpainter
from freefill.server.app import build
from freefill.server.settings import Settings
from freefill.tasks import unmark, unmark_stack

Photo = NDArray[np.uint8]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
STAMPED = (slice(150, 400), slice(200, 600))
"""The part of examples/coffee.jpg that is stamped."""


def psnr(picture: Photo, truth: Photo) -> float:
    error = np.mean((picture.astype(float) - truth) ** 2)
    return float(10 * np.log10(255**2 / error))


@pytest.fixture(scope="module")
def clean(examples: Path) -> Photo:
    with Image.open(examples / "coffee.jpg") as image:
        return np.asarray(image)[STAMPED].copy()


@pytest.fixture(scope="module")
def stamped(clean: Photo) -> Photo:
    image = Image.fromarray(clean)
    font = ImageFont.load_default(22)
    ImageDraw.Draw(image).text((270, 215), "'98 12 25", fill=(255, 190, 60), font=font)
    return np.asarray(image)


@pytest.fixture(scope="module")
def stack() -> tuple[list[Photo], list[Photo]]:
    """Pictures of soft blots and stripes, and the same under half-transparent letters."""
    rng = np.random.default_rng(5)
    truths, marked = [], []
    canvas = Image.new("L", (128, 128))
    ImageDraw.Draw(canvas).text((10, 40), "MINE", fill=255, font=ImageFont.load_default(44))
    opacity = np.asarray(canvas)[..., None] / 255 * 0.5
    for _ in range(14):
        image = Image.new("RGB", (128, 128), tuple(rng.integers(30, 220, 3).tolist()))
        draw = ImageDraw.Draw(image)
        for _ in range(14):
            x, y, r = (int(n) for n in rng.integers((0, 0, 6), (128, 128, 40)))
            draw.ellipse([x - r, y - r, x + r, y + r], fill=tuple(rng.integers(0, 255, 3).tolist()))
        truth = np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)))
        truths.append(truth)
        marked.append(np.rint(truth * (1 - opacity) + 255 * opacity).astype(np.uint8))
    return truths, marked


def test_a_stamp_goes_and_the_photo_stays(
    inpainter: Inpainter, clean: Photo, stamped: Photo
) -> None:
    result = unmark(stamped, kind="stamp", inpainter=inpainter)
    assert result.info == {"kind": "stamp"}
    np.testing.assert_array_equal(result.image[~result.mask], stamped[~result.mask])
    small = Image.fromarray(stamped).filter(ImageFilter.MedianFilter(5))
    digits = (stamped != clean).any(-1)
    assert psnr(result.image[digits], clean[digits]) > psnr(stamped[digits], clean[digits]) + 5
    assert psnr(result.image, clean) > psnr(stamped, clean)
    assert psnr(result.image, clean) > psnr(np.asarray(small), clean)
    assert result.mask.mean() < 0.05


def test_a_box_and_a_look_without_a_fill(inpainter: Inpainter, stamped: Photo) -> None:
    whole = unmark(
        stamped, kind="text", box=Box(left=240, top=200, right=400, bottom=250), inpainter=inpainter
    )
    assert whole.mask[215:235, 275:360].any()
    assert not whole.mask[:200].any()
    assert not whole.mask[:, :240].any()
    looked = unmark(stamped, kind="stamp", fill=False, inpainter=inpainter)
    np.testing.assert_array_equal(looked.image, stamped)
    assert looked.mask.any()


def test_other_kinds_of_samples_keep_theirs(inpainter: Inpainter, stamped: Photo) -> None:
    deep = stamped.astype(np.uint16) * 257
    result = unmark(deep, kind="stamp", inpainter=inpainter)
    assert result.image.dtype == np.uint16
    eight = unmark(stamped, kind="stamp", inpainter=inpainter)
    np.testing.assert_array_equal(result.mask, eight.mask)
    np.testing.assert_allclose(result.image / 257, eight.image, atol=0.51)


def test_weak_evidence_fills_nothing_and_is_shown(
    inpainter: Inpainter, command: Run, tmp_path: Path
) -> None:
    """Two faint lines could be wires; the same seven times, clear and straight, are scratches."""
    rng = np.random.default_rng(3)
    photo = rng.normal(110, 6, (200, 240, 3)).clip(0, 255).astype(np.uint8)
    photo[20:180, 90] = 150
    with pytest.raises(DoubtError, match=r"scratches on .* \(240x200\).*`apply=True`") as refused:
        unmark(photo, inpainter=inpainter)
    assert 0 <= refused.value.figures["scratches"] < 0.9
    applied = unmark(photo, apply=True, inpainter=inpainter)
    np.testing.assert_array_equal(applied.mask, refused.value.mask)
    assert (applied.image[30:170, 90] < 135).all()
    np.testing.assert_array_equal(applied.image[~applied.mask], photo[~applied.mask])
    # Said where it is, it needs no more evidence; only looked for, it is told as it was.
    boxed = unmark(photo, box=(60, 10, 130, 190), inpainter=inpainter)
    assert boxed.mask[30:170, 90].all()
    assert unmark(photo, fill=False, inpainter=inpainter).mask.any()
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo).save(source)
    ran = command("unmark", source, "--out", out)
    assert ran.returncode == 2
    assert "--apply" in ran.stderr
    assert not out.exists()
    with Image.open(tmp_path / "out_mask.png") as image:
        np.testing.assert_array_equal(np.asarray(image) > 127, refused.value.mask)
    assert (tmp_path / "out_look.jpg").exists()
    ran = command("unmark", source, "--out", out, "--apply")
    assert ran.returncode == 0, ran.stderr


def test_of_two_kinds_the_one_beyond_doubt_is_filled(inpainter: Inpainter, stamped: Photo) -> None:
    marked = stamped.copy()
    marked[20:190, 40] = np.clip(marked[20:190, 40].astype(int) + 45, 0, 255)
    result = unmark(marked, inpainter=inpainter)
    assert result.info["kind"] == "stamp"
    assert any("scratches" in line and "`apply=True`" in line for line in result.notices)
    assert not result.mask[30:180, 40].all()


def test_nothing_found_is_said(inpainter: Inpainter) -> None:
    plain = np.full((100, 100, 3), 128, np.uint8)
    with pytest.raises(MaskError, match=r"no stamp, text, scratches or dust .* 'freefill fill'"):
        unmark(plain, inpainter=inpainter)
    with pytest.raises(MaskError, match="no dust was found"):
        unmark(plain, kind="dust", inpainter=inpainter)


def test_a_shared_watermark_is_computed_off(
    inpainter: Inpainter, stack: tuple[list[Photo], list[Photo]]
) -> None:
    truths, marked = stack
    results = unmark_stack(marked, inpainter=inpainter)
    assert len(results) == len(marked)
    hole = results[0].mask
    true = (marked[0] != truths[0]).any(-1)
    assert (hole & true).sum() / true.sum() > 0.9
    assert results[0].info["opacity"] == pytest.approx(0.5, abs=0.1)
    gains = []
    for result, picture, truth in zip(results, marked, truths, strict=True):
        np.testing.assert_array_equal(result.image[~hole], picture[~hole])
        fill = inpainter(image=picture, mask=hole)
        gains.append(psnr(result.image, truth) - psnr(fill, truth))
    # What comes through is better than any guess, and so is what the fill does not know.
    assert np.mean(gains) > 2
    assert any("few" in line for line in results[0].notices)


def test_a_stack_that_cannot_be_one_is_refused(
    inpainter: Inpainter, stack: tuple[list[Photo], list[Photo]]
) -> None:
    truths, marked = stack
    with pytest.raises(ImageError, match="a stack of 3 photos is too small"):
        unmark_stack(marked[:3], inpainter=inpainter)
    with pytest.raises(ImageError, match=r"first is 128x128, another 100x128"):
        unmark_stack([*marked, marked[0][:, :100]], inpainter=inpainter)
    with pytest.raises(MaskError, match="14 photos share nothing"):
        unmark_stack(truths, inpainter=inpainter)


def test_the_command(command: Run, tmp_path: Path, stamped: Photo) -> None:
    photo, out, mask = (tmp_path / name for name in ("a.png", "out.png", "mask.png"))
    Image.fromarray(stamped).save(photo)
    ran = command("unmark", photo, "--kind", "stamp", "-o", out, "--mask-out", mask)
    assert ran.returncode == 0, ran.stderr
    assert "kind stamp" in ran.stdout
    hole = np.asarray(Image.open(mask)) > 127
    changed = (np.asarray(Image.open(out)) != stamped).any(-1)
    assert changed.any()
    assert not changed[~hole].any()
    only = tmp_path / "only.png"
    ran = command("unmark", photo, "--kind", "stamp", "--mask-only", "--mask-out", only)
    assert ran.returncode == 0, ran.stderr
    assert only.read_bytes() == mask.read_bytes()
    # What the mask and 'freefill fill' give is what unmark gives.
    again = tmp_path / "again.png"
    assert command("fill", photo, "--mask", mask, "-o", again).returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(out)))


def test_the_command_for_a_stack(
    command: Run, tmp_path: Path, stack: tuple[list[Photo], list[Photo]]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, picture in enumerate(stack[1]):
        Image.fromarray(picture).save(folder / f"{number:02}.png")
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    ran = command("unmark", folder, "--stack", "--out", out, "--mask-out", mask)
    assert ran.returncode == 0, ran.stderr
    assert [p.name for p in sorted(out.iterdir())] == [p.name for p in sorted(folder.iterdir())]
    hole = np.asarray(Image.open(mask)) > 127
    result = np.asarray(Image.open(out / "03.png"))
    np.testing.assert_array_equal(result[~hole], stack[1][3][~hole])
    assert psnr(result, stack[0][3]) > psnr(stack[1][3], stack[0][3]) + 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("plain.png", "-o", "out.png"), ("no stamp, text, scratches or dust",)),
        (("plain.png",), ("--out", "--mask-only")),
        (("plain.png", "--mask-only"), ("--mask-out",)),
        (("plain.png", "--mask-only", "--mask-out", "m.png", "-o", "o.png"), ("leave out --out",)),
        (("plain.png", "-o", "out.png", "--box", "1,2,3"), ("LEFT,TOP,RIGHT,BOTTOM",)),
        (("plain.png", "-o", "out.png", "--box", "0,0,200,50"), ("not within", "100x100")),
        (("folder", "-o", "out.png"), ("folder", "--stack")),
        (("plain.png", "--stack", "-o", "out"), ("plain.png is not a folder",)),
        (("folder", "--stack", "-o", "out"), ("stack of 1 photo",)),
        (("folder", "--stack", "--kind", "dust", "-o", "out"), ("--kind dust",)),
        (("folder", "--stack", "-o", "plain.png"), ("plain.png is a file",)),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    command: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for name in ("plain.png", "folder/plain.png"):
        Image.new("RGB", (100, 100), (128, 128, 128)).save(name)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    ran = command("unmark", *options)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert all(word in ran.stderr for word in words), ran.stderr
    after = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert after == before


def test_over_http(inpainter: Inpainter, stamped: Photo) -> None:
    file = io.BytesIO()
    Image.fromarray(stamped).save(file, "PNG")
    app = build(Settings(workers=1))
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:

        def ask(content: bytes, **fields: str) -> tuple[int, bytes, dict[str, object]]:
            answer = client.post("/v1/unmark", files={"image": ("a.png", content)}, data=fields)
            return answer.status_code, answer.content, dict(answer.headers)

        expected = unmark(stamped, kind="stamp", inpainter=inpainter)
        status, content, headers = ask(file.getvalue(), kind="stamp")
        assert status == 200
        np.testing.assert_allclose(
            np.asarray(Image.open(io.BytesIO(content))).astype(int), expected.image, atol=1
        )
        assert json.loads(str(headers["fill-details"]))["found"] == {"kind": "stamp"}
        _, content, _ = ask(file.getvalue(), kind="stamp", mask="true")
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(content))) > 127, expected.mask
        )
        plain = io.BytesIO()
        Image.new("RGB", (100, 100)).save(plain, "PNG")
        status, content, _ = ask(plain.getvalue())
        assert status == 422
        assert "no stamp" in json.loads(content)["detail"]
        assert ask(file.getvalue(), box="1,2")[0] == 422
        assert ask(file.getvalue(), kind="logo")[0] == 422
