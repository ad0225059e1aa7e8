"""Does leaving out what a network can restore save bytes? Against JPEG and WebP of equal bytes.

    python benchmarks/compress.py --data data/test [--out table.md] [--sheet sheet.jpg]

The sender leaves out blocks of 16x16 (whole MCUs of a JPEG with chroma at half): of every fourth
block those that the network restores best for the bytes they cost, a tenth of the picture. Blocks
that are left out are flat in the JPEG, which costs next to nothing; which they are is a bit for
each candidate. The receiver decodes and fills. JPEG and WebP (Pillow) are encoded at the highest
quality that needs no more bytes. PSNR and LPIPS-AlexNet (`freefill references lpips_alex`).
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.imaging.io import read_picture, restore
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.pipeline.request import FillRequest
from measured import measured_with

Pixels = np.ndarray
BLOCK = 16
DROPPED = 0.1
QUALITIES = (20, 50, 80)


def main() -> None:
    """Compress, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder 512 in it")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--sheet", type=Path, help="draw crops of the first photos")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    strips = []
    for number, path in enumerate(list_photos(arguments.data / "512")[: arguments.photos]):
        photo = np.asarray(Image.open(path).convert("RGB"))
        for quality in QUALITIES:
            restored, size = without_blocks(inpainter, photo, quality)
            ways = {"blocks left out": (restored, size)}
            for name in ("JPEG", "WEBP"):
                ways[name] = largest_within(photo, name, size)
            for name, (picture, needed) in ways.items():
                error = np.mean((picture.astype(float) - photo) ** 2)
                value = float(10 * np.log10(255**2 / error)), lpips(picture, photo), needed / 1000
                found.setdefault((quality, name), []).append(value)
            if number in (1, 6) and quality == QUALITIES[0]:
                shown = [*(picture for picture, _ in ways.values()), photo]
                strips.append(np.concatenate([one[160:352, 160:352] for one in shown], 1))
        print(path.stem, {k: np.round(v[-1], 3).tolist() for k, v in found.items()}, flush=True)
    lines = [
        "| quality | | kB | PSNR, dB | LPIPS | leaving out is better on (PSNR; LPIPS) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (quality, name), values in found.items():
        rows, ours = np.array(values), np.array(found[quality, "blocks left out"])
        psnr, distance, kilobytes = rows.mean(0)
        better = ""
        if name in ("JPEG", "WEBP"):
            higher, closer = (ours[:, 0] > rows[:, 0]).sum(), (ours[:, 1] < rows[:, 1]).sum()
            better = f"{higher}; {closer} of {len(rows)}"
        lines.append(
            f"| {quality} | {name} | {kilobytes:.1f} | {psnr:.2f} | {distance:.4f} | {better} |"
        )
    text = measured_with() + "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        Image.fromarray(np.concatenate(strips)).save(arguments.sheet, quality=88)


def without_blocks(inpainter: Inpainter, photo: Pixels, quality: int) -> tuple[Pixels, int]:
    """Leave blocks out, encode, decode, fill; give the picture and all bytes that are sent."""
    rows, columns = photo.shape[0] // BLOCK, photo.shape[1] // BLOCK
    decoded = np.asarray(Image.open(io.BytesIO(coded(photo, "JPEG", quality))))
    candidate = np.zeros((rows, columns), bool)
    candidate[::2, ::2] = True
    trial = filled(inpainter, decoded, enlarged(candidate))
    worse = blockwise((trial.astype(float) - photo) ** 2 - (decoded.astype(float) - photo) ** 2)
    # What a block costs goes with the logarithm of its detail.
    detail = np.log1p(blockwise((photo - enlarged_mean(photo)) ** 2))
    price = np.where(candidate, np.maximum(worse, 0) / np.maximum(detail, 0.1), np.inf)
    count = round(DROPPED * rows * columns)
    dropped = np.zeros(rows * columns, bool)
    dropped[np.argsort(price.ravel())[:count]] = True
    hole = enlarged(dropped.reshape(rows, columns))
    flat = np.where(hole[..., None], enlarged_mean(photo), photo).astype(np.uint8)
    content = coded(flat, "JPEG", quality)
    received = np.asarray(Image.open(io.BytesIO(content)))
    return filled(inpainter, received, hole), len(content) + -(-int(candidate.sum()) // 8)


def filled(inpainter: Inpainter, photo: Pixels, hole: Pixels) -> Pixels:
    """Fill a hole."""
    return np.asarray(restore(inpainter.run(FillRequest(read_picture(photo), hole)).picture))


def largest_within(photo: Pixels, file_format: str, size: int) -> tuple[Pixels, int]:
    """Encode at the highest quality that needs no more bytes than that."""
    best = coded(photo, file_format, 1)
    low, high = 1, 100
    while low < high:
        quality = (low + high + 1) // 2
        content = coded(photo, file_format, quality)
        if len(content) <= size:
            low, best = quality, content
        else:
            high = quality - 1
    return np.asarray(Image.open(io.BytesIO(best)).convert("RGB")), len(best)


def coded(photo: Pixels, file_format: str, quality: int) -> bytes:
    """Encode as small as Pillow can at a quality."""
    out = io.BytesIO()
    more = {"optimize": True} if file_format == "JPEG" else {"method": 4}
    Image.fromarray(photo).save(out, file_format, quality=quality, **more)
    return out.getvalue()


def blockwise(values: Pixels) -> Pixels:
    """Give the mean of each block."""
    height, width, channels = values.shape
    blocks = values.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels)
    return blocks.mean((1, 3, 4))


def enlarged(blocks: Pixels) -> Pixels:
    """Give each pixel what its block has."""
    return blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)


def enlarged_mean(photo: Pixels) -> Pixels:
    """Give each pixel the mean colour of its block."""
    return np.stack([enlarged(blockwise(photo[..., c : c + 1])) for c in range(3)], -1)


if __name__ == "__main__":
    main()
