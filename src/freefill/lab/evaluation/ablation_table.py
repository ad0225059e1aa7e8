"""The ablation's table: the mean over photos and seeds, and what it is next to the shared cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.atomic import write_atomically
from freefill.lab.evaluation import gallery, measures, report, results, runner
from freefill.lab.evaluation.ablation import CELLS, CONVOLUTIONS, LOSSES, Plan
from freefill.lab.evaluation.baselines import Baseline, find
from freefill.lab.evaluation.grids import Cell, Grid
from freefill.lab.evaluation.metrics.statistics import bootstrap_interval, paired
from freefill.lab.evaluation.protocol import Manifest
from freefill.lab.evaluation.runner import Measurement
from freefill.weights.registry import Weights

SHARED = "gated"
"""The cell that stands in both axes; the others are compared with it."""
AXES = {"Convolution": CONVOLUTIONS, "Loss": LOSSES}
METRICS = {"hole_lpips": 4, "l1": 2, "psnr": 2, "ssim": 4, "seam": 2}

LEGEND = (
    "Each value is the mean over photos and seeds; brackets are 95 % bootstrap intervals over "
    "photos of the means over seeds, so they hold for other photos, not for other runs: for those "
    "look at the columns of seeds. The difference to 'gated' is paired by photo; p is Wilcoxon's "
    "signed-rank test, two-sided, not corrected for the number of rows.",
)


def measure(
    weights: dict[tuple[str, int], Path],
    test: Path,
    manifest: Manifest,
    names: Sequence[str],
    out: Path,
    advance: Callable[[int, int, str], None],
) -> list[Baseline]:
    """Fill the test photos with every run and measure them.

    Args:
        weights: From :func:`freefill.lab.evaluation.ablation.train_cells`.
        test: Folder of the test photos.
        manifest: Photos and holes, checked.
        names: Protocols.
        out: Folder of the pictures.
        advance: Called after each picture with (done, total, protocol and run).

    Returns:
        The runs as baselines.
    """
    baselines = [find(str(path)) for path in weights.values()]
    runner.evaluate(test, manifest, names, baselines, out, kid=False, report=advance)
    return baselines


def write(
    weights: dict[tuple[str, int], Path],
    plan: Plan,
    baselines: Sequence[Baseline],
    setting: report.Setting,
    test: Path,
    names: Sequence[str],
    out: Path,
) -> list[Path]:
    """Write ``ablation.md``, ``ablation.csv`` (every photo) and ``ablation.jpg``.

    Args:
        weights: Cell and seed to file.
        plan: Steps and seconds.
        baselines: From :func:`measure`, in the order of ``weights``.
        setting: What the page says of itself.
        test: Folder of the test photos.
        names: Protocols.
        out: Folder of the pictures and of the table.

    Returns:
        The files.
    """
    found = results.collect(setting.manifest, names, baselines, out, kid=False)
    of_run = dict(zip(weights, (baseline.name for baseline in baselines), strict=True))
    grids = [_runs(weights, plan)]
    for table in found.tables:
        for axis, cells in AXES.items():
            values = {
                cell: [
                    [
                        found.measurements[table.protocol, of_run[cell, seed], p.file]
                        for p in table.photos
                    ]
                    for seed in range(plan.seeds)
                ]
                for cell in cells
            }
            note = f"{len(table.photos)} photos, holes of {table.area:.1%} of the area on average."
            grids.append(_grid(f"{axis}: {table.protocol}, {table.size}", values, note))
    shown = [of_run[cell, 0] for cell in CELLS]
    pictures = gallery.Pictures(setting.manifest, test, out, report.SHEET_SIDE)
    content = {
        "ablation.md": report.markdown("Ablation", grids, report.facts(setting), LEGEND).encode(),
        "ablation.csv": report.pictures_csv(found),
        "ablation.jpg": report.jpeg(gallery.overview(found, pictures, shown)),
    }
    for name, value in content.items():
        write_atomically(out / name, value)
    return [out / name for name in content]


def _runs(weights: dict[tuple[str, int], Path], plan: Plan) -> Grid:
    rows = []
    for cell in CELLS.values():
        cards = [Weights(cell.name, weights[cell.name, seed]).card for seed in range(plan.seeds)]
        minutes = [
            c["training"]["cpu_minutes" if plan.clock == "processor" else "minutes"] for c in cards
        ]
        texts = (
            cell.name,
            cell.convolution,
            cell.loss,
            f"{cards[0]['parameters']:,}",
            f"{cards[0]['gmac_512']:.2f}",
            f"{cards[0]['training']['steps']:,}",
            f"{cards[0]['training']['crops']:,}",
            ", ".join(f"{m:.1f}" for m in minutes),
        )
        rows.append(tuple(Cell(text, text) for text in texts))
    heads = ("cell", "convolution", "loss", "parameters", "GMAC at 512", "steps", "crops")
    return Grid(
        "Runs",
        (*heads, f"{plan.clock} minutes"),
        tuple(rows),
        f"Each run was planned for {plan.seconds:g} seconds of {plan.clock} time; the number of "
        "steps follows from a timed start. The network, its width, the photos, crops and holes are "
        "the same in all runs of a seed.",
    )


def _grid(title: str, values: dict[str, list[list[Measurement]]], note: str) -> Grid:
    shared = _metric(values[SHARED], "lpips").mean(0)
    rows = []
    means = {cell: _metric(found, "lpips").mean() for cell, found in values.items()}
    for cell, found in values.items():
        lpips = _metric(found, "lpips")
        low, high = bootstrap_interval(lpips.mean(0))
        difference = ""
        if cell != SHARED:
            d = paired(shared, lpips.mean(0))
            p = "p < 0.001" if d.p < 0.001 else f"p = {d.p:.3f}"
            difference = f"{d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}] {p}"
        best = means[cell] == min(means.values())
        texts = [
            f"{means[cell]:.4f} [{low:.4f}, {high:.4f}]",
            difference,
            ", ".join(f"{value:.4f}" for value in lpips.mean(1)),
            *(f"{_metric(found, key).mean():.{digits}f}" for key, digits in METRICS.items()),
        ]
        cells = [Cell(cell, cell), *(Cell(text, text) for text in texts)]
        cells[1] = Cell(texts[0], means[cell], best)
        rows.append(tuple(cells))
    heads = ("cell", "LPIPS ↓", f"less {SHARED}'s", "each seed")
    titles = measures.METRICS
    arrows = (titles[key].title + (" ↑" if titles[key].better > 0 else " ↓") for key in METRICS)
    return Grid(title, (*heads, *arrows), tuple(rows), note)


def _metric(found: list[list[Measurement]], key: str) -> NDArray[np.float64]:
    """Give one metric as (seeds, photos)."""
    return np.array([[m.values[key] for m in run] for run in found])
