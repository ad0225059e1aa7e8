"""What is refused before it is decoded: one line, exit code 2, nothing written, little memory."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import encode, read_picture

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, packed: bytes, depth: int = 8, colour: int = 2) -> bytes:
    def piece(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", head)
    return start + piece(b"IDAT", packed) + piece(b"IEND", b"")


def bomb() -> bytes:
    """A good PNG of 400 million pixels in 50 kB."""
    return png(20_000, 20_000, zlib.compress(bytes(20_000 * 2501), 9), depth=1, colour=0)


def lying_png() -> bytes:
    return png(9_000, 9_000, zlib.compress(bytes(100)))


def lying_deep_png() -> bytes:
    return png(9_000, 9_000, zlib.compress(bytes(100)), depth=16)


def lying_jpeg() -> bytes:
    content = saved(Image.new("RGB", (16, 16)), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", 9_000, 9_000) + content[place + 4 :]


def lying_gif() -> bytes:
    content = saved(Image.new("P", (16, 16)), "GIF")
    size = struct.pack("<HH", 9_000, 9_000)
    place = content.index(b"\x2c") + 5
    return content[:6] + size + content[10:place] + size + content[place + 4 :]


def lying_tiff(**options: Any) -> bytes:
    buffer = BytesIO()
    samples = np.zeros((16, 16, 3), options.pop("dtype", np.uint8))
    tifffile.imwrite(buffer, samples, photometric="rgb", **options)
    content = bytearray(buffer.getvalue())
    (start,) = struct.unpack_from("<I", content, 4)
    for i in range(struct.unpack_from("<H", content, start)[0]):
        place = start + 2 + 12 * i
        if struct.unpack_from("<H", content, place)[0] in (256, 257, 278):
            struct.pack_into("<HII", content, place + 2, 4, 1, 9_000)
    return bytes(content)


LIES: dict[str, Callable[[], bytes]] = {
    "a.png": lying_png,
    "deep.png": lying_deep_png,
    "a.jpg": lying_jpeg,
    "a.gif": lying_gif,
    "raw.tif": lying_tiff,
    "packed.tif": lambda: lying_tiff(compression="zlib"),
    "deep.tif": lambda: lying_tiff(dtype=np.uint16),
    "float.tif": lambda: lying_tiff(dtype=np.float32),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_without_memory_for_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LIES[name]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match="9000x9000") as refused:
        read_picture(path)
    assert str(path) in str(refused.value)
    # 9000x9000 would be 243 MB, and more with 16 bits.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("name", ["bomb.png", "float.tif", "deep.png"])
def test_a_bomb_is_refused_by_the_command(command: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bomb() if name == "bomb.png" else LIES[name]())
    Image.new("L", (8, 8), 255).save(tmp_path / "mask.png")
    work = ("fill", path, "-m", tmp_path / "mask.png", "-o", tmp_path / "out.png")
    ran = command(*work)
    (line,) = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert line.startswith(f"freefill: error: {path}")
    assert not (tmp_path / "out.png").exists()
    if name == "bomb.png":
        for word in ("20000x20000", "400.0 megapixels", "100.0", "--max-pixels 400000000"):
            assert word in line


def test_the_limit_is_the_callers(command: Run, tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 50), (90, 120, 30))
    image.save(tmp_path / "a.png")
    mask = Image.new("L", (60, 50))
    mask.paste(255, (10, 10, 20, 20))
    mask.save(tmp_path / "mask.png")
    work = ("fill", tmp_path / "a.png", "-m", tmp_path / "mask.png", "-o", tmp_path / "out.png")
    ran = command(*work, "--max-pixels", 2999)
    assert ran.returncode == 2
    assert "a.png is 60x50" in ran.stderr
    assert "--max-pixels 3000" in ran.stderr
    assert command(*work, "--max-pixels", 3000).returncode == 0
    # A mask has the same limit.
    Image.new("L", (61, 50)).save(tmp_path / "mask.png")
    ran = command(*work, "--overwrite", "--fit", "resize", "--max-pixels", 3000)
    assert ran.returncode == 2
    assert "mask.png is 61x50" in ran.stderr


def test_pillows_own_limit_neither_warns_nor_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for file_format in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "AVIF"):
        content = saved(Image.new("RGB", (40, 30)), file_format)
        assert read_picture(content).size == (30, 40)
    assert MAX_PIXELS == 100_000_000


@pytest.mark.parametrize("size", [(0, 7), (7, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"{size[0]}x{size[1]}"):
        read_picture(png(*size, zlib.compress(b"")))
    bmp = bytearray(saved(Image.new("RGB", (4, 4)), "BMP"))
    struct.pack_into("<ii", bmp, 18, *size)
    with pytest.raises(ImageError):
        read_picture(bytes(bmp))


def strips(dtype: type = np.uint16, **options: Any) -> bytes:
    buffer = BytesIO()
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 255, (64, 64, 3)).astype(dtype)
    tifffile.imwrite(buffer, samples, photometric="rgb", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("options", "word"),
    [({"rowsperstrip": 8}, "strip"), ({"tile": (16, 16), "compression": "zlib"}, "tile")],
    ids=["strips", "tiles"],
)
def test_a_strip_that_is_cut_off_is_named(options: dict[str, Any], word: str, dtype: type) -> None:
    whole = strips(dtype, **options)
    with pytest.raises(ImageError, match=rf"{word} \d+ of \d+ ends at byte") as refused:
        read_picture(whole[:-300])
    assert str(len(whole) - 300) in str(refused.value)


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF", "TIFF"])
def test_a_file_that_is_shorter_than_it_says_is_refused(file_format: str) -> None:
    options = {"compression": "tiff_lzw"} if file_format == "TIFF" else {}
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    whole = saved(Image.fromarray(noise), file_format, **options)
    with pytest.raises(ImageError, match="truncated|cut off"):  # noqa: RUF043
        read_picture(whole[: len(whole) // 2])


def noisy() -> bytes:
    """A TIFF whose strip is no stream of deflate."""
    content = bytearray(strips(compression="zlib"))
    (start,) = struct.unpack_from("<I", content, 4)
    for i in range(struct.unpack_from("<H", content, start)[0]):
        tag, *_, place = struct.unpack_from("<HHII", content, start + 2 + 12 * i)
        if tag == 273:
            content[place : place + 50] = b"\xff" * 50
    return bytes(content)


def test_damage_is_told_in_one_line_also_where_libraries_in_c_complain(
    cli: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.tif").write_bytes(noisy())
    damaged = bytearray(saved(Image.effect_noise((64, 64), 90), "TIFF", compression="tiff_lzw"))
    damaged[100:300] = bytes(range(200))
    (tmp_path / "b.tif").write_bytes(damaged)
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    for name in ("a.tif", "b.tif"):
        ran = cli("fill", name, "-m", "mask.png", "-o", "out.png", cwd=tmp_path)
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert line.startswith(f"freefill: error: {name} cannot be read: its pixels are damaged")


def test_strips_of_noise_are_refused() -> None:
    with pytest.raises(ImageError, match="pixels are damaged"):
        read_picture(noisy())


def test_damaged_files_are_read_or_refused_but_never_crash(photo: NDArray[np.uint8]) -> None:
    image = Image.fromarray(photo[:40, :40])
    rng = np.random.default_rng(1)
    sources = [saved(image, name) for name in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")]
    sources += [strips(), strips(compression="zlib"), strips(np.float32)]
    for source in sources:
        for _ in range(40):
            content = bytearray(source)
            for place in rng.integers(0, min(len(content), 600), 3):
                content[place] = rng.integers(256)
            try:
                picture = read_picture(bytes(content), max_pixels=1_000_000)
                for target in ("PNG", "TIFF"):
                    encode(picture, target)
            except ImageError:
                continue


def test_reading_a_plain_photo_imports_no_optional_codec(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    code = (
        "import sys; from freefill.imaging.io import encode, read_picture; "
        f"encode(read_picture({str(tmp_path / 'a.png')!r}), 'PNG'); "
        "print([m for m in ('tifffile', 'jpeglib', 'pillow_heif') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\nshowpage\n"
FITS = b"".join(
    card.ljust(80)
    for card in (
        b"SIMPLE  =                    T",
        b"BITPIX  =                    8",
        b"NAXIS   =                    2",
        b"NAXIS1  =                    4",
        b"NAXIS2  =                    4",
        b"END",
    )
).ljust(2880) + bytes(2880)


def others() -> dict[str, bytes]:
    image = Image.new("RGB", (40, 30), (90, 120, 30))
    found = {name: saved(image, name) for name in ("TGA", "PCX", "SGI", "ICNS", "IM", "PDF")}
    return found | {
        "EPS": POSTSCRIPT,
        "EPS in DOS": b"\xc5\xd0\xd3\xc6"
        + struct.pack("<II", 30, len(POSTSCRIPT))
        + bytes(18)
        + POSTSCRIPT,
        "FITS": FITS,
        "WMF": b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhH", 0, 0, 40, 30, 72) + bytes(60),
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30, 40, 8, 3) + bytes(4000),
    }


@pytest.mark.parametrize("name", others())
def test_other_formats_reach_no_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    def start(*arguments: Any, **options: Any) -> Any:
        raise AssertionError(f"a program is started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", start)
    for ending in ("jpg", "eps", "png"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(others()[name])
        for source in (path, path.read_bytes()):
            with pytest.raises(ImageError, match="not an image in a format that can be read"):
                read_picture(source)


@pytest.mark.parametrize(
    "name", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "ICO", "DDS"]
)
def test_the_formats_that_are_read(name: str) -> None:
    image = Image.new("RGB", (64, 32), (90, 120, 30))
    picture = read_picture(saved(image, name))
    assert picture.format == name
    if name != "ICO":
        assert picture.size == (32, 64)


def test_several_pictures_in_a_jpeg_are_read() -> None:
    image = Image.effect_noise((64, 32), 40).convert("RGB")
    content = saved(image, "MPO", save_all=True, append_images=[image])
    assert read_picture(content).format == "MPO"


def test_an_open_file_of_another_format_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_bytes(POSTSCRIPT)
    Image.new("RGB", (40, 30)).save(tmp_path / "a.tga")
    for name in ("a.eps", "a.tga"):
        image = Image.open(tmp_path / name)
        with image, pytest.raises(ImageError, match="not decoded here"):
            read_picture(image)
    # What the caller has decoded is a picture like any other.
    with Image.open(tmp_path / "a.tga") as image:
        image.load()
    assert read_picture(image).size == (30, 40)
