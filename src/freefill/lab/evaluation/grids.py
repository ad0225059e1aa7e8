"""The tables of a report: which metrics stand side by side, how they are printed, what is bold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freefill.lab.evaluation.measures import METRICS
from freefill.lab.evaluation.results import Estimate, Results, Row, Table


@dataclass(frozen=True)
class Shown:
    """How one metric is printed."""

    key: str
    title: str
    better: int
    digits: int
    interval: bool = False


_LPIPS = Shown("lpips", "LPIPS", -1, 4, True)
_KID = Shown("kid", "KID x1000", -1, 1, True)
FID = Shown("fid", "FID", -1, 2)
_HOLE_KID = Shown("hole_kid", "KID x1000, window on the hole", -1, 1, True)
WHOLE = ("lpips", "l1", "l2", "psnr", "ssim")
HOLE = ("hole_lpips", "hole_l1", "hole_l2", "hole_psnr", "hole_ssim", "seam")
"""Metrics of the two tables, in their order; those that were registered by others follow KID."""


@dataclass(frozen=True)
class Cell:
    """One printed value."""

    text: str
    sort: float | str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table ready to print."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def grids(results: Results) -> list[Grid]:
    """Lay out every table of a report, in the order of reading."""
    found = []
    if len({table.protocol for table in results.tables}) > 1:
        found += [_summary(results, size) for size in dict.fromkeys(t.size for t in results.tables)]
    for table in results.tables:
        name = f"{table.protocol}, {table.size}"
        count = f"{len(table.photos)} photos, holes of {table.area:.1%} of the area on average."
        extra = (FID,) if "fid" in table.rows[0].estimates else ()
        found += [
            _grid(f"{name}: the whole picture", table, (*_whole(), *extra), True, count),
            _grid(f"{name}: the hole", table, _hole(), False),
        ]
    found += [_source_grid(results, table) for table in results.tables]
    found += [_time_grid(results)]
    return [grid for grid in found if grid.rows]


def _plain(key: str) -> Shown:
    column = METRICS[key]
    return Shown(column.key, column.title, column.better, column.digits)


def _whole() -> list[Shown]:
    others = [_plain(k) for k, c in METRICS.items() if not c.hole and k not in WHOLE]
    return [_LPIPS, *(_plain(k) for k in WHOLE[1:]), _KID, *others]


def _hole() -> list[Shown]:
    others = [_plain(k) for k, c in METRICS.items() if c.hole and k not in HOLE]
    return [*(_plain(k) for k in HOLE), _HOLE_KID, *others]


def _summary(results: Results, size: str) -> Grid:
    tables = [table for table in results.tables if table.size == size]
    heads = ("LPIPS", *(f"{table.protocol} ({table.area:.0%})" for table in tables))
    columns = [_cells(table.rows, _plain("lpips")) for table in tables]
    return Grid(f"LPIPS by protocol, {size}", heads, _rows(tables[0], columns))


def _grid(title: str, table: Table, shown: Sequence[Shown], compare: bool, note: str = "") -> Grid:
    shown = [s for s in shown if s.key in table.rows[0].estimates]
    columns = [_cells(table.rows, s) for s in shown]
    heads = [s.title + (" ↑" if s.better > 0 else " ↓") for s in shown]
    if compare and len(table.rows) > 1:
        heads.insert(1, f"less {table.rows[0].baseline}'s")
        columns.insert(1, [_difference(row) for row in table.rows])
    return Grid(title, ("method", *heads), _rows(table, columns), note)


def _rows(table: Table, columns: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (Cell(row.baseline, row.baseline), *(column[i] for column in columns))
        for i, row in enumerate(table.rows)
    )


def _cells(rows: Sequence[Row], shown: Shown) -> list[Cell]:
    estimates = [row.estimates[shown.key] for row in rows]
    best = max(shown.better * e.value for e in estimates)
    return [Cell(_text(e, shown), e.value, shown.better * e.value == best) for e in estimates]


def _text(estimate: Estimate, shown: Shown) -> str:
    text = f"{estimate.value:.{shown.digits}f}"
    if shown.interval:
        text += f" [{estimate.low:.{shown.digits}f}, {estimate.high:.{shown.digits}f}]"
    return text


def _difference(row: Row) -> Cell:
    if "lpips" not in row.differences:
        return Cell("", 0.0)
    d = row.differences["lpips"]
    p = "p < 0.001" if d.p < 0.001 else f"p = {d.p:.3f}"
    return Cell(f"{d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}] {p}", d.difference)


def _source_grid(results: Results, table: Table) -> Grid:
    parts = [t for t in results.by_source if (t.protocol, t.size) == (table.protocol, table.size)]
    heads = ("LPIPS", *(f"{part.source} ({len(part.photos)})" for part in parts))
    columns = [_cells(part.rows, _LPIPS) for part in parts]
    rows = _rows(table, columns) if parts else ()
    return Grid(f"{table.protocol}, {table.size}: by source", heads, rows)


def _time_grid(results: Results) -> Grid:
    first = results.tables[0].rows[0].baseline
    sizes = list(dict.fromkeys(table.size for table in results.tables))
    rows = []
    for number, row in enumerate(results.tables[0].rows[1:], 1):
        cells = [Cell(row.baseline, row.baseline)]
        for size in sizes:
            table = next(t for t in results.tables if t.size == size)
            time = table.rows[number].time
            assert time is not None
            cells.append(Cell(f"{time.value:.2f} [{time.low:.2f}, {time.high:.2f}]", time.value))
        rows.append(tuple(cells))
    return Grid(
        f"Time over that of {first}",
        ("method", *sizes),
        tuple(rows),
        f"Median and range of a method's time for a photo over {first}'s, measured one after the "
        f"other on the first photos under {results.tables[0].protocol}, warm, in this process; a "
        "command is a process of its own. Not repeatable to the digit, unlike the rest.",
    )
