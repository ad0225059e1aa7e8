"""What is written about bundled weights: the registry, the card, the table, and its page."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundling.choosing import Choice
from bundling.measuring import Measured
from freefill.errors import ConfigError

FROM = "<!-- the main table: written by tools/bundle.py, from here -->"
TO = "<!-- the main table: to here -->"
REGISTRY_KEYS = ("sha256", "bytes", "licence", "architecture")
LIST_COLUMNS = ("use", "source", "licence")


@dataclass(frozen=True)
class Figures:
    """What was measured of weights.

    Attributes:
        held: On the held-out photos: it decides.
        table: On the test photos: the main table.
    """

    held: Choice
    table: Measured

    def entry(self) -> dict[str, Any]:
        """Give what a card has as ``metrics``."""
        return self.table.entry() | {"held_out": self.held.entry()}


def registry(text: str, card: dict[str, Any]) -> str:
    """Bring an entry of `registry.toml` up to date; all other lines stay.

    Args:
        text: Of the file.
        card: Of the new weights; its ``name`` is the entry's.

    Returns:
        The new text.

    Raises:
        ConfigError: If there is no such entry, or it lacks a sha256 or a size.
    """
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if line.strip() == "[[weights]]"]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        keys = {
            line.partition("=")[0].strip(): i
            for i, line in enumerate(lines[start:end], start)
            if "=" in line and not line.lstrip().startswith("#")
        }
        if "name" not in keys or lines[keys["name"]].partition("=")[2].strip() != _toml(
            card["name"]
        ):
            continue
        if not {"sha256", "bytes"} <= keys.keys():
            break
        for key in REGISTRY_KEYS:
            if key in keys and key in card:
                lines[keys[key]] = f"{key} = {_toml(card[key])}"
        return "\n".join(lines)
    raise ConfigError(f"registry.toml has no entry {card['name']!r} with sha256 and bytes")


def _toml(value: str | int) -> str:
    return json.dumps(value)


def card(
    card: dict[str, Any], name: str, figures: Figures | None, photos: dict[str, Any] | None
) -> dict[str, Any]:
    """Give the card of bundled weights.

    Args:
        card: What the export wrote. Metrics that notes brought in are of earlier weights: they go.
        name: What the weights are called from now on.
        figures: What was measured; None if nothing was.
        photos: From :func:`photo_list`.

    Returns:
        The new card.
    """
    kept = {k: v for k, v in card.items() if k != "metrics"} | {"name": name}
    if photos is not None:
        kept["data"] = {**kept.get("data", {}), "list": photos}
    return kept | ({"metrics": figures.entry()} if figures else {})


def photo_list(config: dict[str, Any], root: Path) -> dict[str, Any] | None:
    """Count the photos of a run's list.

    Args:
        config: The run's settings; ``data.list`` names a CSV file.
        root: The repository, below which the file is looked for as well.

    Returns:
        Its name, sha256, and photos by use, source and licence; None without a list.

    Raises:
        ConfigError: If the file is not there or lacks a column.
    """
    named = config.get("data", {}).get("list")
    if not named:
        return None
    found = [path for path in (Path(named), root / named) if path.is_file()]
    if not found:
        raise ConfigError(f"the run's photo list {named} is not here: the card counts its photos")
    content = found[0].read_bytes()
    rows = csv.DictReader(content.decode("utf-8").splitlines())
    missing = [column for column in LIST_COLUMNS if column not in (rows.fieldnames or [])]
    if missing:
        raise ConfigError(f"the photo list {found[0]} has no column {', '.join(missing)}")
    counts = Counter(tuple(row[column] for column in LIST_COLUMNS) for row in rows)
    return {
        "file": str(named),
        "sha256": hashlib.sha256(content).hexdigest(),
        "photos": [
            dict(zip(LIST_COLUMNS, key, strict=True)) | {"photos": count}
            for key, count in sorted(counts.items())
        ],
    }


def readme(text: str, name: str, measured: Measured) -> str:
    """Write a row of the main table anew, and which weights it is of.

    Args:
        text: Of README.md.
        name: Of the weights: the row's.
        measured: The columns; their titles are the table's heads.

    Returns:
        The new text: between the two marks, the least of each measured column is bold.

    Raises:
        ConfigError: If marks, row or a column are missing.
    """
    before, first, rest = text.partition(FROM)
    inside, last, after = rest.partition(TO)
    if not (first and last):
        raise ConfigError(f"README.md lacks the marks {FROM} and {TO}")
    table = [_cells(line) for line in inside.splitlines() if line.startswith("|")]
    heads = table[0] if table else []
    values = {c.title: c.new for c in measured.columns}
    missing = [title for title in values if title not in heads]
    rows = [row for row in table[2:] if row[0] == name]
    if missing or len(rows) != 1:
        wanted = f"columns {', '.join(missing)}" if missing else f"one row {name}"
        raise ConfigError(f"the main table in README.md lacks {wanted}")
    for title, value in values.items():
        place = heads.index(title)
        rows[0][place] = f"{value:.3f}"
        column = [row[place].strip("*") for row in table[2:]]
        least = min(column, key=float)
        for row, cell in zip(table[2:], column, strict=True):
            row[place] = f"**{cell}**" if cell == least else cell
    timed = re.search(r"timed with `(\w+)`", inside)
    note = (
        f"`{name}` is `{measured.new}` (the start of its sha256) in pipeline {measured.pipeline}, "
        f"measured on {measured.date} ([more](docs/results/bundled.md)); the last column was timed "
        f"with `{timed[1] if timed else measured.old}`."
    )
    lines = ["| " + " | ".join(row).strip() + " |" for row in table]
    lines[0] = lines[0].replace("|  |", "| |")
    return before + FROM + "\n" + "\n".join([note, "", *lines]) + "\n" + TO + after


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def page(card: dict[str, Any], figures: Figures | None, golden: str, command: str) -> str:
    """Write `docs/results/bundled.md`.

    Args:
        card: Of the bundled weights.
        figures: What was measured; None if nothing was.
        golden: Name of the folder of golden fills.
        command: What was typed.
    """
    training = card["training"]
    lines = [
        "# The bundled weights",
        "",
        "Written by `tools/bundle.py`, not by hand. Other pages name weights as here.",
        "",
        f"- weights: `{card['sha256'][:12]}`, {card['parameters']:,} parameters, "
        f"{card['gmac_512']} GMAC at 512x512, {card['bytes']:,} bytes",
        f"- last run: {training['steps']:,} steps, {training['crops']:,} crops, "
        f"{training['photos']:,} photos, {training['minutes']:g} minutes on {training['hardware']}",
        f"- golden fills: `tests/golden/{golden}`",
        f"- command: `{command}`",
    ]
    if figures is None:
        return "\n".join([*lines, "", "Not measured when they were bundled.", ""])
    measured = figures.table
    again = measured.new == measured.old
    lines += [
        f"- pipeline: {measured.pipeline}",
        f"- measured: {measured.date}, {measured.machine}",
    ]
    if not again:
        lines.append(f"- before: `{measured.old}`, measured in the same run")
        if measured.time:
            lines.append(f"- time for a photo over that of those before: {measured.time:.2f}")
    lines += _held(figures.held)
    heads = ["LPIPS-AlexNet, less is better", "photos", f"`{card['name']}`"]
    heads += [] if again else ["before", "difference, 95 % interval", "p"]
    rows = [heads]
    for c in measured.columns:
        row = [c.title, str(c.photos), f"{c.new:.4f}"]
        if not again:
            interval = f"{c.new - c.old:+.4f} [{c.low:+.4f}, {c.high:+.4f}]"
            row += [f"{c.old:.4f}", interval, f"{c.p:.2g}"]
        rows.append(row)
    new, old = measured.mean
    row = ["mean", "", f"{new:.4f}"]
    row += [] if again else [f"{old:.4f}", f"{new - old:+.4f}", f"{measured.p:.2g}"]
    about = "They had no part in the choice; the main table of README.md has them as well."
    lines += ["", "## On the test photos", "", about, "", *_table([*rows, row]), ""]
    return "\n".join(lines)


def _held(choice: Choice) -> list[str]:
    """Tell what the held-out photos said."""
    lines = [
        "",
        "## On the held-out photos",
        "",
        "The score decides ([how networks are chosen](../evaluation.md#how-networks-are-chosen)).",
        "",
        *_table(choice.rows()),
    ]
    return lines if choice.again else [*lines, "", f"{choice.line()}."]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]]
