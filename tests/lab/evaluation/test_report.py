"""The files of a report: they say what the results say, and read as what they are."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from freefill.imaging import contact_sheet
from freefill.lab.evaluation import report, results
from freefill.lab.evaluation.grids import Cell, Grid, grids
from freefill.lab.evaluation.metrics import fid
from freefill.lab.evaluation.protocol import sample
from freefill.lab.evaluation.report import Setting
from freefill.lab.evaluation.runner import picture_path

if TYPE_CHECKING:
    from conftest import Evaluated

FILES = ("report.md", "table.csv", "pictures.csv", "times.csv", "report.html", "sheet.jpg")
COMMAND = "freefill evaluate --baseline 'a=`b` | c' </script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def written(finished: Evaluated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report. Shared: none may write to it."""
    out = tmp_path_factory.mktemp("written") / "report"
    shutil.copytree(finished.out, out)
    setting = Setting("photos", COMMAND, finished.manifest, finished.baselines)
    assert report.write(finished.results, setting, finished.data, out) == [out / f for f in FILES]
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tables_of(text: str) -> dict[str, list[list[str]]]:
    """Give the cells of each table of a Markdown text, by the heading above it."""
    found: dict[str, list[list[str]]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)
            assert cells[0] == cells[-1] == ""
            found.setdefault(title, []).append([c.strip().replace(r"\|", "|") for c in cells[1:-1]])
    return found


def test_table_csv(finished: Evaluated, written: Path) -> None:
    found = {
        (r["protocol"], r["size"], r["source"], r["method"], r["metric"]): r
        for r in rows(written / "table.csv")
    }
    assert len(found) == len(rows(written / "table.csv"))
    expected = 0
    for table in (*finished.results.tables, *finished.results.by_source):
        for row in table.rows:
            for metric, estimate in row.estimates.items():
                line = found[table.protocol, table.size, table.source, row.baseline, metric]
                values = [float(line[name]) for name in ("value", "low", "high")]
                assert values == pytest.approx(dataclasses.astuple(estimate), rel=1e-7)
                assert int(line["photos"]) == len(table.photos)
                assert float(line["area"]) == pytest.approx(table.area, abs=1e-6)
                names = ("difference", "difference_low", "difference_high", "p")
                if metric in row.differences:
                    values = [float(line[name]) for name in names]
                    assert values == pytest.approx(row.differences[metric], rel=1e-7)
                else:
                    assert [line[name] for name in names] == [""] * 4
                expected += 1
    assert len(found) == expected


def test_sources_do_not_pass_for_all_photos(own: Evaluated) -> None:
    """Photos without an underscore are a group, too, and not that of all."""
    names = {"64/flower_bee.png": "other", "64/flower_dahlia.jpg": "other"}
    photos = [
        dataclasses.replace(p, source=names.get(p.file, p.source)) for p in own.manifest.photos
    ]
    manifest = dataclasses.replace(own.manifest, photos=tuple(photos))
    found = results.collect(manifest, own.names, own.baselines, own.out, False)
    report.write(found, Setting("", "", manifest, own.baselines), own.data, own.out)
    keys = [
        tuple(r[k] for k in ("protocol", "size", "source", "method", "metric"))
        for r in rows(own.out / "table.csv")
    ]
    assert len(set(keys)) == len(keys)
    assert {key[2] for key in keys} == {"all", "other"}


def test_pictures_csv(finished: Evaluated, written: Path) -> None:
    found = rows(written / "pictures.csv")
    assert len(found) == 30
    for row in found:
        measurement = finished.results.measurements[row["protocol"], row["method"], row["photo"]]
        assert float(row["area"]) == pytest.approx(measurement.area, abs=1e-6)
        values = {key: float(row[key]) for key in measurement.values}
        assert values == pytest.approx(measurement.values, rel=1e-7)
        assert set(row) == {"protocol", "method", "photo", "area", *measurement.values}


def test_times_csv(finished: Evaluated, written: Path) -> None:
    found = {(r["protocol"], r["size"], r["method"]): r for r in rows(written / "times.csv")}
    assert len(found) == 8  # two protocols, two sizes, two baselines next to the first
    for table in finished.results.tables:
        for row in table.rows[1:]:
            line = found[table.protocol, table.size, row.baseline]
            values = [float(line[name]) for name in ("median", "least", "greatest")]
            assert row.time is not None
            assert values == pytest.approx(dataclasses.astuple(row.time), abs=1e-4)


def test_no_times_of_one_baseline(own: Evaluated) -> None:
    found = own.collect(own.baselines[:1])
    setting = Setting("photos", "", own.manifest, own.baselines[:1])
    report.write(found, setting, own.data, own.out)
    assert (own.out / "times.csv").read_text() == "empty\n"
    assert "Time over" not in (own.out / "report.md").read_text()
    assert "less mean_colour" not in (own.out / "report.md").read_text()


def test_the_same_evaluation_twice(
    finished: Evaluated, written: Path, networks: Path, tmp_path: Path
) -> None:
    second = dataclasses.replace(finished, out=tmp_path)
    assert second.evaluate() == 30
    setting = Setting("elsewhere", "another", finished.manifest, finished.baselines)
    report.write(second.collect(), setting, finished.data, tmp_path)
    for name in ("table.csv", "pictures.csv", "sheet.jpg"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()
    lines = []
    for folder in (written, tmp_path):
        text, _, times = (folder / "report.md").read_text().partition("## Time over that of")
        assert times
        lines.append([line for line in text.splitlines() if not line.startswith("- ")])
    assert lines[0] == lines[1]
    assert len(lines[0]) > 60


def test_markdown_tables(finished: Evaluated, written: Path) -> None:
    found = tables_of((written / "report.md").read_text())
    assert list(found) == [
        *("LPIPS by protocol, 64", "LPIPS by protocol, 96"),
        *(
            f"{protocol}, {size}: {part}"
            for protocol in finished.names
            for size in ("64", "96")
            for part in ("the whole picture", "the hole")
        ),
        *("centre, 64: by source", "thin, 64: by source"),
        "Time over that of mean_colour",
    ]
    for title, lines in found.items():
        assert len({len(line) for line in lines}) == 1, title
        assert set(lines[1]) == {"---"}
        baselines = ["mean_colour", "telea", "copy"][1 if title.startswith("Time") else 0 :]
        assert [line[0] for line in lines[2:]] == baselines
        if not title.startswith("Time"):
            assert any("**" in cell for line in lines[2:] for cell in line)
    whole = found["thin, 64: the whole picture"]
    assert whole[0] == [
        *("method", "LPIPS ↓", "less mean_colour's", "l1 % ↓", "l2 % ↓", "PSNR dB ↑", "SSIM ↑"),
        "KID x1000 ↓",
    ]
    assert "KID x1000 ↓" not in found["thin, 96: the whole picture"][0]
    # The first is not compared with itself.
    assert whole[2][2] == ""
    row = finished.results.tables[2].rows[1]
    lpips, less = row.estimates["lpips"], row.differences["lpips"]
    assert whole[3][1].strip("*") == f"{lpips.value:.4f} [{lpips.low:.4f}, {lpips.high:.4f}]"
    p = f"{less.difference:+.4f} [{less.low:+.4f}, {less.high:+.4f}] p = {less.p:.3f}"
    assert whole[3][2] == p
    assert whole[3][5].strip("*") == f"{row.estimates['psnr'].value:.2f}"
    tables = finished.results.tables
    for size, shown in (("64", tables[0::2]), ("96", tables[1::2])):
        head, _, *lines = found[f"LPIPS by protocol, {size}"]
        assert head == ["LPIPS", *(f"{t.protocol} ({t.area:.0%})" for t in shown)]
        for number, line in enumerate(lines):
            values = [f"{t.rows[number].estimates['lpips'].value:.4f}" for t in shown]
            assert [cell.strip("*") for cell in line[1:]] == values
    for part in finished.results.by_source:
        head, _, *lines = found[f"{part.protocol}, 64: by source"]
        assert head == ["LPIPS", "flower (2)"]
        for row, line in zip(part.rows, lines, strict=True):
            lpips = row.estimates["lpips"]
            text = f"{lpips.value:.4f} [{lpips.low:.4f}, {lpips.high:.4f}]"
            assert line[1].strip("*") == text
    _, _, *lines = found["Time over that of mean_colour"]
    for number, line in enumerate(lines, 1):
        times = [table.rows[number].time for table in tables[:2]]
        assert line[1:] == [f"{t.value:.2f} [{t.low:.2f}, {t.high:.2f}]" for t in times if t]
    note = f"3 photos, holes of {finished.results.tables[2].area:.1%} of the area on average."
    assert note in (written / "report.md").read_text()


def test_bold_is_the_best(finished: Evaluated, written: Path) -> None:
    found = tables_of((written / "report.md").read_text())
    keys = {
        "the whole picture": ["lpips", None, "l1", "l2", "psnr", "ssim", "kid"],
        "the hole": [
            *("hole_lpips", "hole_l1", "hole_l2", "hole_psnr", "hole_ssim", "seam", "hole_kid")
        ],
    }
    winners = Counter[str]()
    for table in finished.results.tables:
        for part, columns in keys.items():
            lines = found[f"{table.protocol}, {table.size}: {part}"][2:]
            there = [key for key in columns if key is None or key in table.rows[0].estimates]
            assert len(there) + 1 == len(lines[0])
            for number, key in enumerate(there, 1):
                bold = {line[0] for line in lines if line[number].startswith("**")}
                if key is None:
                    assert not bold
                    continue
                values = {row.baseline: row.estimates[key].value for row in table.rows}
                best = max if "psnr" in key or "ssim" in key else min
                (winner,) = bold
                assert values[winner] == best(values.values())
                winners[winner] += 1
    assert len(winners) > 1  # or anything that is always bold would pass


def test_fid_has_a_column_with_enough_photos(
    finished: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fid, "MINIMUM", 3)
    heads = {grid.title: grid.heads for grid in grids(finished.collect())}
    assert heads["thin, 64: the whole picture"][-1] == "FID ↓"
    assert "FID ↓" not in heads["thin, 96: the whole picture"]


def test_nothing_breaks_a_markdown_table_or_a_line(own: Evaluated) -> None:
    photos = [
        dataclasses.replace(p, source="a|b\n| --- |" if "flower" in p.file else "c")
        for p in own.manifest.photos
    ]
    manifest = dataclasses.replace(own.manifest, photos=tuple(photos))
    found = results.collect(manifest, own.names, own.baselines, own.out, True)
    setting = Setting("a `photo`\n# folder", COMMAND, manifest, own.baselines)
    report.write(found, setting, own.data, own.out)
    text = (own.out / "report.md").read_text()
    for lines in tables_of(text).values():
        assert len({len(line) for line in lines}) == 1
    assert tables_of(text)["centre, 64: by source"][0] == ["LPIPS", "a|b | --- | (2)"]
    assert text.count("\n# ") == 0
    facts = {}
    for line in text.splitlines():
        if line.startswith("- "):
            name, _, code = line[2:].partition(": ")
            fence = re.match("`+", code)
            assert fence is not None
            inner = code.removeprefix(fence[0]).removesuffix(fence[0])
            # No run of backticks in it is as long as those around it: it is one piece of code.
            assert fence[0] not in re.findall("`+", inner)
            facts[name] = inner.strip()
    assert facts["command"] == COMMAND
    assert facts["method copy"] == own.baselines[2].identity
    assert facts["photos"] == "5 of a `photo` # folder; holes of seed 0"
    assert f"freefill {report.__version__}" in facts["software"]
    assert {"machine", "method mean_colour", "method telea"} <= set(facts)


def test_markdown_marks_the_best() -> None:
    grid = Grid("T", ("baseline", "x ↓"), ((Cell("a", "a"), Cell("1|2", 1, True)),), "A note.")
    text = report.markdown("Title", [grid], [("name", "value")], ["A legend."])
    assert (
        text.splitlines()
        == [
            *("# Title", "", "- name: `value`", "", "A legend.", "", "## T", "", "A note.", ""),
            *("| baseline | x ↓ |", "| --- | --- |", r"| a | **1\|2** |", ""),
        ][: len(text.splitlines())]
    )
    assert text.endswith("**1\\|2** |\n")


class Page(HTMLParser):
    """What the page holds: its elements with their attributes, texts, scripts and tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: list[list[list[dict[str, str | None]]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(found)
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self.open[-1] if self.open else ""
        if tag == "script":
            self.scripts.append(data)
        else:
            self.texts.setdefault(tag, []).append(data)


def test_page(finished: Evaluated, written: Path) -> None:
    page = Page((written / "report.html").read_text())
    assert page.open == []
    # What the command holds is shown as it is, and is no part of the page.
    assert COMMAND in page.texts["dd"]
    assert finished.baselines[2].identity in page.texts["dd"]
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "a", "dl", "dt", "dd"),
        *("div", "table", "thead", "tbody", "tr", "th", "td", "button", "details", "summary"),
        *("figure", "img", "figcaption", "script"),
    }
    # No file and no address is needed.
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    (script,) = page.scripts
    images = json.loads(re.search(r"^const images = (\{.*\});$", script, re.MULTILINE)[1])  # type: ignore[index]
    keys = [found["data-key"] for tag, found in page.elements if tag == "img"]
    assert set(keys) == set(images)
    assert len(keys) > len(images)  # each is in it once
    for key in images:
        head, _, content = images[key].partition(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert max(image.size) <= report.THUMBNAIL
            image.load()
    alternatives = [found["alt"] for tag, found in page.elements if tag == "img"]
    # Of each of four tables and three baselines three photos, or two: hole, two fills, truth.
    assert len(keys) == 4 * 3 * 2 * (3 + 2)
    for start in range(0, len(keys), 4):
        hole, baseline, other, truth = alternatives[start : start + 4]
        assert (hole, truth) == ("hole", "truth")
        assert other == ("telea" if baseline == "mean_colour" else "mean_colour")
        for key, name in zip(keys[start : start + 3], (hole, baseline, other), strict=True):
            assert key is not None
            assert key.endswith(f"/{name}")
        assert keys[start + 3] in {photo.file for photo in finished.manifest.photos}
    for table in page.tables:
        assert len({len(line) for line in table}) == 1
        for line in table[1:]:
            assert line[0]["data-sort"] in ("mean_colour", "telea", "copy")
            for cell in line[1:]:
                assert abs(float(cell["data-sort"] or "")) < 1e6
    markdown = tables_of((written / "report.md").read_text())
    assert len(page.tables) == len(markdown)
    best = sum(cell.get("class") == "best" for t in page.tables for line in t for cell in line)
    assert best == sum("**" in cell for t in markdown.values() for line in t for cell in line)
    sorts = [line[1]["data-sort"] for line in page.tables[2][1:]]
    lpips = [row.estimates["lpips"].value for row in finished.results.tables[0].rows]
    assert [float(value or "") for value in sorts] == pytest.approx(lpips)


def test_page_shows_each_picture_under_its_own_key(finished: Evaluated, written: Path) -> None:
    page = Page((written / "report.html").read_text())
    found = re.search(r"^const images = (\{.*\});$", page.scripts[0], re.MULTILINE)
    assert found is not None
    images = json.loads(found[1])
    seen = set()
    for photo in finished.manifest.photos:
        true = sample(finished.manifest, finished.data, photo, "centre")
        candidates = {
            photo.file: true.pixels,
            f"centre/{photo.file}/hole": np.where(
                true.hole[..., None], 255 * contact_sheet.HOLE, true.pixels
            ),
        }
        for baseline in finished.baselines:
            with Image.open(picture_path(finished.out, "centre", baseline.name, photo)) as image:
                candidates[f"centre/{photo.file}/{baseline.name}"] = np.asarray(image)
        for key in candidates.keys() & images.keys():
            content = base64.b64decode(images[key].partition(",")[2])
            with Image.open(io.BytesIO(content)) as image:
                shown = np.asarray(image.convert("RGB"), float)
            # WebP loses some: it is nearer to its own picture than to any other.
            errors = {name: np.abs(shown - other).mean() for name, other in candidates.items()}
            assert min(errors, key=errors.__getitem__) == key
            seen.add(key.replace(photo.file, ""))
    assert seen == {"", "centre//hole", "centre//mean_colour", "centre//telea", "centre//copy"}


def test_contact_sheet(finished: Evaluated, written: Path) -> None:
    with Image.open(written / "sheet.jpg") as image:
        assert image.format == "JPEG"
        found = image.convert("RGB")
    # The first baseline's worst, median and best of 3 photos, or of 2; none is larger than 192.
    heights = []
    widths = []
    for table in finished.results.tables:
        values = {
            photo.file: finished.results.measurements[table.protocol, "mean_colour", photo.file]
            for photo in table.photos
        }
        ordered = sorted(values, key=lambda file: -values[file].values["lpips"])
        for file in ordered:
            with Image.open(finished.data / file) as photo:
                heights.append(photo.height)
                widths.append(5 * photo.width + 4 * contact_sheet.GAP)
    assert len(heights) == 10
    line = contact_sheet.CAPTION + contact_sheet.GAP
    assert found.height == sum(heights) + 10 * line + contact_sheet.CAPTION + 2 * contact_sheet.GAP
    assert found.width == max(widths) + 2 * contact_sheet.GAP
