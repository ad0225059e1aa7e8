"""From pictures to rows: means, intervals, differences and distances, worked out again."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from freefill.errors import DataError
from freefill.lab.evaluation import measures, report, results, runner
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation.metrics import fid
from freefill.lab.evaluation.results import Table

if TYPE_CHECKING:
    from conftest import Evaluated

KEYS = [column.key for column in measures.columns()]


def by_hand(finished: Evaluated, table: Table, baseline: str, key: str) -> NDArray[np.float64]:
    """Read one metric of a table's photos from pictures.csv."""
    text = report.pictures_csv(finished.results).decode()
    found = {
        (row["protocol"], row["method"], row["photo"]): float(row[key])
        for row in csv.DictReader(io.StringIO(text))
    }
    return np.array([found[table.protocol, baseline, photo.file] for photo in table.photos])


def exact_p(differences: NDArray[np.float64]) -> float:
    """Wilcoxon's p by all assignments of signs; no ties and no zeros."""
    ranks = np.abs(differences).argsort().argsort() + 1
    total = ranks.sum()
    seen = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    sums = [np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(ranks))]
    return float(min(1, np.mean([min(s, total - s) <= seen for s in sums])))


def test_tables_and_their_photos(finished: Evaluated) -> None:
    found = finished.results
    assert [(t.protocol, t.size, t.source, len(t.photos)) for t in found.tables] == [
        ("centre", "64", "all", 3),
        ("centre", "96", "all", 2),
        ("thin", "64", "all", 3),
        ("thin", "96", "all", 2),
    ]
    # One photo is no group.
    assert [(t.protocol, t.size, t.source) for t in found.by_source] == [
        ("centre", "64", "flower"),
        ("thin", "64", "flower"),
    ]
    for table in (*found.tables, *found.by_source):
        assert {photo.size for photo in table.photos} == {table.size}
        assert [row.baseline for row in table.rows] == ["mean_colour", "telea", "copy"]
        holes = [
            protocols.sample(finished.manifest, finished.data, photo, table.protocol).hole.mean()
            for photo in table.photos
        ]
        assert table.area == pytest.approx(np.mean(holes), rel=1e-12)
    assert len(found.measurements) == 30


def test_means_and_differences(finished: Evaluated) -> None:
    for table in (*finished.results.tables, *finished.results.by_source):
        for row in table.rows:
            assert set(KEYS) <= set(row.estimates)
            assert set(row.differences) == (set() if row is table.rows[0] else set(KEYS))
            for key in KEYS:
                values = by_hand(finished, table, row.baseline, key)
                estimate = row.estimates[key]
                # Eight digits are in the file. With two photos the least and the greatest are each
                # a quarter of all resamples, with three each 1/27: more than 2.5 %.
                expected = values.mean(), values.min(), values.max()
                assert dataclasses.astuple(estimate) == pytest.approx(expected, rel=1e-7)
                if row is not table.rows[0]:
                    less = values - by_hand(finished, table, "mean_colour", key)
                    found = row.differences[key]
                    expected = less.mean(), less.min(), less.max(), exact_p(less)
                    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_sources_alone_if_there_are_two(own: Evaluated) -> None:
    photos = tuple(dataclasses.replace(p, source="one") for p in own.manifest.photos)
    plain = dataclasses.replace(own.manifest, photos=photos)
    found = results.collect(plain, own.names, own.baselines, own.out, True)
    assert found.by_source == ()
    assert [t.rows for t in found.tables] == [t.rows for t in own.results.tables]


def kernel_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    def k(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    pairs = list(itertools.permutations(range(len(a)), 2))
    return sum(k(a[i], a[j]) + k(b[i], b[j]) - 2 * k(a[i], b[j]) for i, j in pairs) / len(pairs)


def test_kid(finished: Evaluated) -> None:
    seen = set()
    for table in finished.results.tables:
        for row in table.rows:
            if table.size == "96":  # two photos are too few
                assert not {"kid", "hole_kid", "fid"} & set(row.estimates)
                continue
            for number, key in enumerate(("kid", "hole_kid")):
                filled, true = (
                    np.stack(
                        [
                            np.load(runner.feature_path(finished.out, table.protocol, name, photo))
                            for photo in table.photos
                        ]
                    )[:, number].astype(float)
                    for name in (row.baseline, "truth")
                )
                estimate = row.estimates[key]
                assert estimate.value == pytest.approx(1000 * kernel_distance(filled, true))
                assert estimate.low < estimate.value < estimate.high
                seen.add(estimate.value)
            assert "fid" not in row.estimates
    # Whole and hole differ: the window is not all of each photo.
    assert len(seen) == 12
    for table in finished.results.by_source:
        assert all(set(row.estimates) == set(KEYS) for row in table.rows)


def test_no_kid(own: Evaluated) -> None:
    for path in (own.out / "pictures").rglob("*.npy"):
        path.unlink()
    for table in own.collect(kid=False).tables:
        assert all(set(row.estimates) == set(KEYS) for row in table.rows)
    with pytest.raises(DataError, match="evaluate again"):
        own.collect(kid=True)


def test_fid_appears_with_enough_photos(
    finished: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fid.MINIMUM == 5000
    monkeypatch.setattr(fid, "MINIMUM", 4)
    assert not any("fid" in r.estimates for t in finished.collect().tables for r in t.rows)
    monkeypatch.setattr(fid, "MINIMUM", 3)
    for table in finished.collect().tables:
        for row in table.rows:
            assert {"fid", "hole_fid"} <= set(row.estimates) or table.size == "96"
            for number, key in enumerate(("fid", "hole_fid") if table.size == "64" else ()):
                a, b = (
                    np.stack(
                        [
                            np.load(runner.feature_path(finished.out, table.protocol, name, photo))
                            for photo in table.photos
                        ]
                    )[:, number]
                    for name in (row.baseline, "truth")
                )
                estimate = row.estimates[key]
                assert estimate.value == fid.fid(a, b) > 0
                assert np.isnan([estimate.low, estimate.high]).all()


def test_times_are_ratios_photo_by_photo(own: Evaluated) -> None:
    made_up = {"flower_bee": (2, 1), "flower_dahlia": (0.8, 0.1), "town_street": (6, 2)}
    for name, (seconds, first) in made_up.items():
        path = own.out / f"pictures/centre/telea/64/{name}.json"
        measurement = json.loads(path.read_text())
        path.write_text(json.dumps(measurement | {"seconds": seconds, "first_seconds": first}))
    found = own.collect()
    assert found.tables[0].rows[0].time is None
    time = found.tables[0].rows[1].time
    assert time is not None
    # 2, 8 and 3; the ratio of the means would be 2.8.
    assert dataclasses.astuple(time) == pytest.approx((3, 2, 8))
    # Each table has its own.
    others = [table.rows[1].time for table in found.tables[1:]]
    assert others == [table.rows[1].time for table in own.results.tables[1:]]


def test_missing_picture_is_refused(own: Evaluated) -> None:
    (own.out / "pictures/thin/copy/96/flower_fruit.png").unlink()
    with pytest.raises(DataError, match=r"thin/copy/96/flower_fruit\.png is not there"):
        own.collect()
    shutil.rmtree(own.out)
    with pytest.raises(DataError, match=r"centre/mean_colour/64/flower_bee\.png is not there"):
        own.collect()


def test_the_same_again(finished: Evaluated, own: Evaluated, tmp_path: Path) -> None:
    again = own.collect()
    assert again == finished.collect()
    assert again.measurements == finished.results.measurements
