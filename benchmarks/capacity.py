"""The arithmetic of docs/scale/capacity.md: from what was measured to machines, hours and bytes.

    python benchmarks/capacity.py            prints the page's tables
    python benchmarks/capacity.py --write    puts them into the page

Nothing is measured here. Each number is one that another benchmark or page gives, or is marked as
an assumption; change it and the page follows.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/scale/capacity.md"
DAY = 86_400

# Measured: benchmarks/ray_batch.py, benchmarks/serve_load.py (docs/results/serving.json).
CORE_SECONDS = {"512x512": 0.095, "2048x2048": 0.49, "4000x3000": 1.35}
BYTES_IN = {"512x512": 57e3, "2048x2048": 391e3, "4000x3000": 5e6}  # the last: a camera's JPEG
BYTES_OUT = {"512x512": 53e3, "2048x2048": 371e3, "4000x3000": 5e6}
S3_SECONDS = 0.004  # a core's, for photo, mask and result
RAY = 0.92  # of the local runner's throughput
MANIFEST_BYTES = 110  # a photo
# The first was measured; the others are computed: 350 MB, and 45 bytes a pixel.
WORKER_BYTES = {"512x512": 0.37e9, "2048x2048": 0.54e9, "4000x3000": 0.89e9}
BLOCKS_A_SECOND, BLOCK = 250, 64  # what a driver deals out
# Measured: docs/scale/pack.md.
PACK_CORE_SECONDS = {"256 px": 0.0024, "4000x3000": 0.083}
PACK_MAIN_SECONDS = 0.00024
PACKED_BYTES = 30.6e3  # a photo of 256 pixels
# Counted by torch.utils.flop_counter on a step of configs/light.toml; measured by
# benchmarks/loading.py and processes.py.
CROP_FLOP = 28.6e9  # generator, perceptual loss and critic, forwards and backwards, 256x256
CPU_CROPS = 13.4  # a second, two processes on two cores
LOADER_SECONDS = 0.0028  # a core's, for a crop from shards, made in worker processes
LOADER_CROPS = 700  # a second, by one process's own thread
PARAMETERS = 1_725_925 + 240_644
# Assumptions.
UTILISATION = 0.9  # of the cores of a batch
PEAK = 989e12  # an H100's, bf16, dense
SHARES = (0.02, 0.05, 0.15)  # of it that so small a network may reach: none was measured
GPUS = 8
PHOTOS = 8e6


def filling(photos: float) -> list[str]:
    """Give the table of a number of photos a day."""
    lines = [
        "| | 512x512 | 2048x2048 | 4000x3000 |",
        "| --- | --- | --- | --- |",
    ]
    sizes = list(CORE_SECONDS)
    busy = {size: (CORE_SECONDS[size] + S3_SECONDS) / RAY for size in sizes}
    cores = {size: photos / DAY * busy[size] / UTILISATION for size in sizes}

    def row(name: str, value: object) -> None:
        lines.append(f"| {name} | " + " | ".join(value(size) for size in sizes) + " |")

    row("a core's seconds a photo, S3 and Ray included", lambda s: f"{busy[s]:.3f}")
    row("photos a day and core, at 90 %", lambda s: f"{DAY * UTILISATION / busy[s]:,.0f}")
    row("**cores**", lambda s: f"**{cores[s]:.1f}**")
    row("core-hours a day", lambda s: f"{cores[s] * 24:,.0f}")
    row(
        "memory of as many workers", lambda s: f"{-(-cores[s] // 1) * WORKER_BYTES[s] / 1e9:.1f} GB"
    )
    row("read a day", lambda s: f"{photos * BYTES_IN[s] / 1e9:,.0f} GB")
    row("written a day", lambda s: f"{photos * BYTES_OUT[s] / 1e9:,.0f} GB")
    row(
        "network, in and out, mean",
        lambda s: f"{photos * (BYTES_IN[s] + BYTES_OUT[s]) * 8 / DAY / 1e6:,.0f} Mbit/s",
    )
    row(
        "network of a machine of 64 such cores",
        lambda s: (
            f"{64 * UTILISATION / busy[s] * (BYTES_IN[s] + BYTES_OUT[s]) * 8 / 1e9:.2f} Gbit/s"
        ),
    )
    row("S3 requests a day: HEAD and GET; PUT", lambda s: f"{photos * 4:,.0f}; {photos:,.0f}")
    row("manifest a day", lambda s: f"{photos * MANIFEST_BYTES / 1e6:,.0f} MB")
    row(
        "cores that one driver keeps busy",
        lambda s: f"{BLOCKS_A_SECOND * BLOCK * busy[s] / UTILISATION:,.0f}",
    )
    return lines


def packing() -> list[str]:
    """Give the table of packing the photos of a training."""
    lines = [
        "| source | core-hours | on 64 cores | read | written |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, seconds in PACK_CORE_SECONDS.items():
        hours = PHOTOS * seconds / 3600
        wall = max(hours / 64, PHOTOS * PACK_MAIN_SECONDS / 3600)
        limit = " (one process writes: its limit)" if wall > hours / 64 else ""
        size = BYTES_IN["4000x3000"] if name == "4000x3000" else PACKED_BYTES
        lines.append(
            f"| {name} | {hours:,.0f} | {wall:.1f} h{limit} | {PHOTOS * size / 1e12:.2f} TB | "
            f"{PHOTOS * PACKED_BYTES / 1e9:,.0f} GB at 256 px |"
        )
    return lines


def training() -> list[str]:
    """Give the table of an epoch on eight GPUs."""
    lines = [
        "| of the peak (assumed) | crops/s a GPU | crops/s of 8 | an epoch; ten | GPU-hours of ten "
        "| cores to make the crops | shards read |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for share in SHARES:
        one = share * PEAK / CROP_FLOP
        all_ = GPUS * one
        lines.append(
            f"| {share:.0%} | {one:,.0f} | {all_:,.0f} | {PHOTOS / all_ / 60:.0f} min; "
            f"{10 * PHOTOS / all_ / 3600:.1f} h | {10 * GPUS * PHOTOS / all_ / 3600:.0f} | "
            f"{all_ * LOADER_SECONDS:.0f} | "
            f"{all_ * PACKED_BYTES * 8 / 1e9:.1f} Gbit/s |"
        )
    return lines


def sums() -> list[str]:
    """Give the single figures of the training's text."""
    epoch = PHOTOS * CROP_FLOP
    days, flops = PHOTOS / CPU_CROPS / DAY, CPU_CROPS * CROP_FLOP / 1e12
    single = LOADER_CROPS * GPUS
    steps = 0.05 * PEAK / CROP_FLOP / 32
    return [
        f"- An epoch is 8 M x {CROP_FLOP / 1e9:.1f} GFLOP = {epoch:.2g} FLOP. The two cores here "
        f"would take {days:.1f} days ({CPU_CROPS} crops/s, {flops:.2f} TFLOP/s).",
        f"- A process's own thread (`data.workers=0`) makes {LOADER_CROPS} crops a second: 8 of "
        f"them {single:,}, an epoch in {PHOTOS / single / 60:.0f} minutes whatever the GPUs could "
        "do.",
        f"- Gradients: {PARAMETERS / 1e6:.2f} M numbers of 4 bytes, {PARAMETERS * 4 / 1e6:.0f} MB "
        f"a step and GPU. At 32 crops a GPU and step and 5 % of the peak there are {steps:.0f} "
        f"steps a second, {steps * PARAMETERS * 8 / 1e9:.1f} GB/s through each GPU: NVLink carries "
        f"hundreds, a network of 100 Gbit/s {100 / 8:.1f}.",
    ]


def tables() -> dict[str, list[str]]:
    """Give what stands between the page's marks."""
    return {
        "filling": filling(1e6),
        "packing": packing(),
        "training": training(),
        "sums": sums(),
    }


def page(text: str) -> str:
    """Give the page with the tables of today's numbers."""
    for name, lines in tables().items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- / -->)", re.DOTALL)
        body = "\n".join(lines)
        text = mark.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)
    return text


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put them into the page")
    if parser.parse_args().write:
        PAGE.write_text(page(PAGE.read_text()))
        return
    for lines in tables().values():
        print("\n".join(lines), end="\n\n")


if __name__ == "__main__":
    main()
