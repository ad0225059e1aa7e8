"""A finished evaluation as files: Markdown and CSV to keep, one HTML page and a sheet to look at.

Files in ``OUT``: ``report.md``, ``table.csv`` (every metric with its interval), ``pictures.csv``
(every picture), ``times.csv``, ``report.html``, ``sheet.jpg``. All but ``times.csv``, and the table
of times in the two reports, depend on nothing but the pictures.
"""

from __future__ import annotations

import base64
import csv
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from freefill import __version__
from freefill.imaging.atomic import write_atomically
from freefill.lab.evaluation import gallery
from freefill.lab.evaluation.baselines import Baseline
from freefill.lab.evaluation.grids import Grid, grids
from freefill.lab.evaluation.protocol import Manifest
from freefill.lab.evaluation.results import ALL, Results, Row
from freefill.pipeline.engines.cpu_count import available_cores

THUMBNAIL = 160
"""Side of a picture in the HTML page, in pixels."""
SHEET_SIDE = 192
TOLERANCE = (
    "The same photos, machine and versions give these numbers to the last digit (times apart). "
    "Elsewhere another JPEG decoder or order of summation may change LPIPS, SSIM and the "
    "percentages by 0.001 and PSNR by 0.01 dB."
)


@dataclass(frozen=True)
class Setting:
    """What the report says of how it came about."""

    data: str
    command: str
    manifest: Manifest
    baselines: Sequence[Baseline]


def write(results: Results, setting: Setting, data: Path, out: Path) -> list[Path]:
    """Write every file of the report.

    Args:
        results: From :func:`freefill.lab.evaluation.results.collect`.
        setting: What to say of it.
        data: Folder of the photos.
        out: Folder of the report, with its pictures.

    Returns:
        The files.
    """
    tables, notes = grids(results), facts(setting)
    small = gallery.Pictures(setting.manifest, data, out, THUMBNAIL)
    names = [baseline.name for baseline in setting.baselines]
    contact = gallery.overview(
        results, gallery.Pictures(setting.manifest, data, out, SHEET_SIDE), names
    )
    content = {
        "report.md": markdown("Evaluation", tables, notes, _LEGEND).encode(),
        "table.csv": _csv(_table_rows(results)),
        "pictures.csv": pictures_csv(results),
        "times.csv": _csv(_time_rows(results)),
        "report.html": _html(results, tables, notes, names, small).encode(),
        "sheet.jpg": jpeg(contact),
    }
    for name, value in content.items():
        write_atomically(out / name, value)
    return [out / name for name in content]


def facts(setting: Setting) -> list[tuple[str, str]]:
    """List how the numbers came about: command, photos, software, machine, baselines."""
    manifest = setting.manifest
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "onnxruntime", "numpy", "pillow", "scipy")
    )
    return [
        ("command", setting.command),
        ("photos", f"{len(manifest.photos)} of {setting.data}; holes of seed {manifest.seed}"),
        ("software", f"freefill {__version__}, Python {platform.python_version()}, {libraries}"),
        ("machine", f"{platform.system()} {platform.machine()}, {available_cores()} cores"),
        *((f"method {baseline.name}", baseline.identity) for baseline in setting.baselines),
    ]


def markdown(
    title: str,
    tables: Iterable[Grid],
    facts: Iterable[tuple[str, str]],
    legend: Iterable[str],
) -> str:
    """Write tables as Markdown, the best of a column in bold."""
    lines = [f"# {title}", ""]
    lines += [f"- {name}: {_code(value)}" for name, value in facts]
    lines += ["", *legend, ""]
    for grid in tables:
        lines += [f"## {grid.title}", ""]
        lines += [grid.note, ""] if grid.note else []
        lines += [_line(grid.heads), _line("---" for _ in grid.heads)]
        lines += [
            _line(f"**{cell.text}**" if cell.best else cell.text for cell in row)
            for row in grid.rows
        ]
        lines += [""]
    return "\n".join(lines)


_LEGEND = (
    "Brackets are 95 % intervals: bootstrap over photos, for KID the jackknife over photos. The "
    "difference to the first method is paired by photo; p is Wilcoxon's signed-rank test, "
    "two-sided, not corrected for the number of rows. LPIPS: AlexNet, v0.1. KID: Inception "
    "2015-12-05, pictures resized to 299x299 by Pillow's bicubic filter; the pairs of a photo with "
    "its own fill are left out, as the two sets are not independent, so these are not other "
    "programs' KIDs. FID is given from 5000 photos on. Seam: error of the gradient along the "
    "hole's boundary.",
    "",
    "No method sees what was in the hole: it gets each hole pixel in the colour of the nearest "
    "known one. What it changes outside the hole is put back.",
    "",
    TOLERANCE,
)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", r"\|") for c in cells) + " |"


def _code(text: str) -> str:
    """Write as code, on one line, whatever backticks are in it."""
    text = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _html(
    results: Results,
    tables: Sequence[Grid],
    facts: Sequence[tuple[str, str]],
    names: Sequence[str],
    pictures: gallery.Pictures,
) -> str:
    images: dict[str, str] = {}

    def keep(key: str, image: Image.Image) -> str:
        # Each picture is in the page once, however many rows show it.
        if key not in images:
            data = base64.b64encode(_encoded(image, "WEBP", quality=70)).decode()
            images[key] = f"data:image/webp;base64,{data}"
        return key

    sections: list[dict[str, Any]] = []
    for table in results.tables:
        strips = []
        for name in names:
            # The first baseline is shown beside each; itself beside the second.
            others = [names[0]] if name != names[0] else list(names[1:2])
            for strip in gallery.strips(results, table, name, [name, *others]):
                stem = f"{table.protocol}/{strip.photo.file}"
                shown = [("hole", keep(f"{stem}/hole", pictures.hole(strip)))]
                for baseline in strip.shown:
                    shown.append(
                        (baseline, keep(f"{stem}/{baseline}", pictures.fill(strip, baseline)))
                    )
                shown.append(("truth", keep(strip.photo.file, pictures.truth(strip))))
                strips.append({"caption": gallery.caption(results, strip), "shown": shown})
        sections.append({"title": f"{table.protocol}, {table.size}", "strips": strips})
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = files("freefill.lab.evaluation").joinpath("report.html.jinja").read_text("utf-8")
    return environment.from_string(text).render(
        grids=tables,
        facts=facts,
        legend=[line for line in _LEGEND if line],
        sections=sections,
        images=images,
        side=THUMBNAIL,
    )


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(image: Image.Image) -> bytes:
    """Encode a contact sheet."""
    return _encoded(image, "JPEG", quality=85)


def pictures_csv(results: Results) -> bytes:
    """Write every picture's metrics, a line each."""
    return _csv(_picture_rows(results))


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    buffer = StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["empty"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _table_rows(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "protocol": table.protocol,
            "size": table.size,
            "source": table.source,
            "photos": len(table.photos),
            "area": f"{table.area:.6f}",
            "method": row.baseline,
            "metric": metric,
            "value": f"{estimate.value:.8g}",
            "low": f"{estimate.low:.8g}",
            "high": f"{estimate.high:.8g}",
            **_differences(row, metric),
        }
        for table in (*results.tables, *results.by_source)
        for row in table.rows
        for metric, estimate in row.estimates.items()
    ]


def _differences(row: Row, metric: str) -> dict[str, str]:
    found = row.differences.get(metric)
    names = ("difference", "difference_low", "difference_high", "p")
    return {n: f"{v:.8g}" if found else "" for n, v in zip(names, found or names, strict=True)}


def _picture_rows(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "protocol": protocol,
            "method": baseline,
            "photo": file,
            "area": f"{m.area:.6f}",
            **{key: f"{value:.8g}" for key, value in m.values.items()},
        }
        for (protocol, baseline, file), m in results.measurements.items()
    ]


def _time_rows(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "protocol": table.protocol,
            "size": table.size,
            "method": row.baseline,
            "median": f"{row.time.value:.4f}",
            "least": f"{row.time.low:.4f}",
            "greatest": f"{row.time.high:.4f}",
        }
        for table in results.tables
        for row in table.rows
        if table.source == ALL and row.time is not None
    ]
