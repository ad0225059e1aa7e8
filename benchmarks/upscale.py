"""Is a network that fills holes any good at enlarging? Twice the size, against Lanczos.

    python benchmarks/upscale.py --data data/test [--out table.md] [--sheet sheet.jpg]

Photos of 512x512 are blurred (1 2 1 on both axes) or not, and every second pixel of every second
row is kept: three of four pixels are a hole. The network fills it; Lanczos and bicubic (Pillow)
enlarge the kept pixels, in the same places. "Both" is the network's detail on Lanczos: the mean of
the two. PSNR and LPIPS-AlexNet of the whole picture (`freefill references lpips_alex`).
"""

from __future__ import annotations

import argparse
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
EDGE = 4
"""Pixels by which the small picture is continued, so that Lanczos has neighbours."""


def main() -> None:
    """Enlarge, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder 512 in it")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--sheet", type=Path, help="draw crops of the first photos")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    strips = []
    for number, path in enumerate(list_photos(arguments.data / "512")[: arguments.photos]):
        photo = np.asarray(Image.open(path).convert("RGB"))
        for small_is, blur in (("every second pixel", False), ("blurred first", True)):
            small = (blurred(photo) if blur else photo)[::2, ::2]
            ways = enlarged(inpainter, small)
            for name, picture in ways.items():
                error = np.mean((picture.astype(float) - photo) ** 2)
                value = float(10 * np.log10(255**2 / error)), lpips(picture, photo)
                found.setdefault((small_is, name), []).append(value)
            if number in (1, 6) and blur:
                shown = [ways["Lanczos"], ways["network"], photo]
                strips.append(np.concatenate([one[160:352, 160:352] for one in shown], 1))
        print(path.stem, {k: np.round(v[-1], 3).tolist() for k, v in found.items()}, flush=True)
    lines = [
        "| small picture | enlarged by | PSNR, dB | LPIPS | network is better on (PSNR; LPIPS) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (small_is, name), values in found.items():
        rows, ours = np.array(values), np.array(found[small_is, "network"])
        psnr, distance = rows.mean(0)
        better = ""
        if name != "network":
            higher, closer = (ours[:, 0] > rows[:, 0]).sum(), (ours[:, 1] < rows[:, 1]).sum()
            better = f"{higher}; {closer} of {len(rows)}"
        lines.append(f"| {small_is} | {name} | {psnr:.2f} | {distance:.4f} | {better} |")
    text = measured_with() + "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        Image.fromarray(np.concatenate(strips)).save(arguments.sheet, quality=88)


def enlarged(inpainter: Inpainter, small: Pixels) -> dict[str, Pixels]:
    """Enlarge in each way; the small picture's pixels are those of even rows and columns."""
    height, width = small.shape[:2]
    canvas = np.zeros((2 * height, 2 * width, 3), np.uint8)
    canvas[::2, ::2] = small
    hole = np.ones(canvas.shape[:2], bool)
    hole[::2, ::2] = False
    network = np.asarray(restore(inpainter.run(FillRequest(read_picture(canvas), hole)).picture))
    padded = Image.fromarray(np.pad(small, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), "edge"))
    # A quarter of a pixel to the right and down: so that kept pixels are centres of pixels.
    first = EDGE + 0.25
    box = (first, first, first + width, first + height)
    ways = {
        name: np.asarray(padded.resize((2 * width, 2 * height), method, box))
        for name, method in (
            ("bicubic", Image.Resampling.BICUBIC),
            ("Lanczos", Image.Resampling.LANCZOS),
        )
    }
    both = np.rint((network.astype(float) + ways["Lanczos"]) / 2).astype(np.uint8)
    return {**ways, "network": network, "both": both}


def blurred(photo: Pixels) -> Pixels:
    """Weigh each pixel with its neighbours 1 2 1 on both axes."""
    values = np.pad(photo.astype(float), ((1, 1), (1, 1), (0, 0)), "edge")
    values = (values[:-2] + 2 * values[1:-1] + values[2:]) / 4
    return np.rint((values[:, :-2] + 2 * values[:, 1:-1] + values[:, 2:]) / 4).astype(np.uint8)


if __name__ == "__main__":
    main()
