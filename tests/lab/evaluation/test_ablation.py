"""The ablation: what its cells differ in, its plan, the order of its runs, and its table."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import wilcoxon

from freefill.errors import ConfigError
from freefill.lab.config import Config
from freefill.lab.evaluation import ablation, ablation_table, measures, report
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation.ablation import CELLS, CONVOLUTIONS, LOSSES, Plan, cell_config
from freefill.lab.evaluation.ablation_table import LEGEND
from freefill.lab.evaluation.baselines import Baseline, hide_hole_and_composite
from freefill.lab.evaluation.metrics.statistics import bootstrap_interval
from freefill.lab.training import checkpoint

CPU = {"plain": 0.25, "partial": 0.5, "gated": 0.75, "l1": 0.4, "local-global": 1.0}
"""Seconds of the processor for a step of the fake training; 2 for the rest."""


def silent(*_: object) -> None:
    pass


class Fakes:
    """Stand for training and export: they write what the real ones do, and note their calls."""

    def __init__(self) -> None:
        self.trained: list[tuple[str, Config, bool]] = []
        self.exported: list[str] = []
        self.stop_in: str | None = None

    def train(
        self,
        photos: Path,
        run: Path,
        config: Config,
        *,
        resume: bool = False,
        on_message: Callable[[str], None] = print,
        report: Callable[..., None] = silent,
    ) -> None:
        self.trained.append((run.name, config, resume))
        run.mkdir(parents=True, exist_ok=True)
        stopped = run.name == self.stop_in
        done = 0
        with (run / "log.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["step", "minutes", "cpu_minutes"])
            # The first steps take longer, as they do: what is not counted must not matter.
            seconds = 100.0
            each = CPU.get(run.name, 2.0)
            while done < config.train.steps and not stopped:
                done += config.train.log_every
                rows.writerow([done, 3 * seconds / 60, seconds / 60])
                seconds += each * config.train.log_every
        checkpoint.save(run, {"step": config.train.steps // 2 if stopped else config.train.steps})
        if stopped:
            raise KeyboardInterrupt

    def export(self, run: Path, out: Path, *, on_message: Callable[[str], None] = print) -> None:
        assert checkpoint.load(run)["step"] == self.trained[-1][1].train.steps
        self.exported.append(run.name)
        out.write_bytes(b"weights")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(ablation, "train", made.train)
    monkeypatch.setattr(ablation, "export", made.export)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return made


@pytest.fixture
def prepare(fakes: Fakes, tmp_path: Path) -> Callable[..., Plan]:
    def run(seconds: float = 120, seeds: int = 2, overrides: Sequence[str] = ()) -> Plan:
        return ablation.prepare(tmp_path, tmp_path / "out", seconds, seeds, overrides, silent)

    return run


# The design.


def flat(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, part in pairs for k, v in flat(part, f"{place}.{name}").items()}
    return {place[1:]: value}


def difference(one: Config, two: Config) -> set[str]:
    a, b = flat(one.to_dict()), flat(two.to_dict())
    return {key for key in a.keys() | b.keys() if a.get(key, "-") != b.get(key, "-")}


def config_of(name: str, seed: int = 0, steps: int = 500) -> Config:
    return cell_config(CELLS[name], seed, steps)


def test_six_cells_are_the_two_axes_that_share_one() -> None:
    assert len(CELLS) == 6
    assert set(CELLS) == set(CONVOLUTIONS) | set(LOSSES)
    assert set(CONVOLUTIONS) & set(LOSSES) == {ablation_table.SHARED}
    assert all(name == cell.name for name, cell in CELLS.items())


@pytest.mark.parametrize(("one", "two"), list(itertools.combinations(CONVOLUTIONS, 2)))
def test_convolutions_differ_in_nothing_else(one: str, two: str) -> None:
    assert difference(config_of(one), config_of(two)) == {"model.convolution"}
    assert config_of(one).model.convolution == one
    assert config_of(one).model.name == "encoder-decoder"
    stage = config_of(one).train.stages[0]
    assert stage.adversarial > 0
    assert config_of(one).loss.perceptual == 0


@pytest.mark.parametrize(
    ("cell", "setting"),
    [
        ("l1", "train.stages.0.adversarial"),
        ("local-global", "model.discriminator"),
        ("perceptual", "loss.perceptual"),
    ],
)
def test_losses_differ_from_the_shared_cell_in_one_setting(cell: str, setting: str) -> None:
    assert difference(config_of(cell), config_of("gated")) == {setting}
    assert config_of(cell).model.convolution == "gated"


def test_losses_are_what_they_are_called() -> None:
    l1 = config_of("l1")
    assert l1.loss.l1 > 0
    assert (l1.loss.perceptual, l1.loss.r1) == (0, 0)
    assert all(stage.adversarial == 0 for stage in l1.train.stages)
    assert config_of("local-global").model.discriminator == "local-global"
    assert config_of("gated").model.discriminator == "patch"
    assert config_of("perceptual").loss.perceptual > 0
    assert [n for n in CELLS if "SN-PatchGAN" in CELLS[n].loss] == [
        name
        for name in CELLS
        if config_of(name).train.stages[0].adversarial
        and config_of(name).model.discriminator == "patch"
    ]


@pytest.mark.parametrize("name", CELLS)
def test_seed_and_steps_change_nothing_else(name: str) -> None:
    assert difference(config_of(name, 0), config_of(name, 1)) == {"train.seed"}
    found = config_of(name, 0, 5000)
    changed = difference(config_of(name, 0, 500), found)
    assert changed == {"train.stages.0.steps", "train.warmup"}
    assert found.train.steps == 5000
    assert all(config_of(name, 0, s).train.warmup <= s / 10 for s in (24, 500, 5000))


@pytest.mark.parametrize("name", CELLS)
def test_overrides_reach_every_cell(name: str) -> None:
    changed = cell_config(CELLS[name], 0, 500, ["train.stages.0.crop=64", "train.lr=0.5"])
    assert difference(changed, config_of(name)) == {"train.stages.0.crop", "train.lr"}
    assert changed.train.stages[0].crop == 64
    with pytest.raises(ConfigError, match=r"train\.lrr: no such setting"):
        cell_config(CELLS[name], 0, 500, ["train.lrr=1"])


# The plan.


@pytest.mark.parametrize(("cuda", "clock", "factor"), [(False, "processor", 1), (True, "wall", 3)])
def test_time_becomes_steps(
    cuda: bool,
    clock: str,
    factor: int,
    prepare: Callable[..., Plan],
    fakes: Fakes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    plan = prepare(seconds=150.0, seeds=3, overrides=["train.log_every=5", "train.lr=0.5"])
    # The clock of a wall runs three times as fast as the fake's processor.
    assert plan.steps == {name: round(150 / (factor * CPU.get(name, 2.0))) for name in CELLS}
    assert (plan.seconds, plan.clock, plan.seeds) == (150.0, clock, 3)
    assert list(plan.overrides) == ["train.log_every=5", "train.lr=0.5"]
    assert json.loads((tmp_path / "out/plan.json").read_text())["steps"] == plan.steps
    assert not (tmp_path / "out/timing").exists()
    assert [name for name, _, _ in fakes.trained] == list(CELLS)
    for name, config, resume in fakes.trained:
        asked = {"train.log_every", "train.save_every", "train.preview_every", "train.lr"}
        assert difference(config, config_of(name, 0, 24)) == asked
        assert config.train.lr == 0.5
        assert not resume


def test_a_plan_is_made_once(prepare: Callable[..., Plan], fakes: Fakes, tmp_path: Path) -> None:
    first = prepare(overrides=["train.lr=0.5"])
    written = (tmp_path / "out/plan.json").read_bytes()
    fakes.trained.clear()
    second = prepare(overrides=["train.lr=0.5"])
    assert fakes.trained == []
    assert (tmp_path / "out/plan.json").read_bytes() == written
    assert (second.steps, second.seconds, second.clock) == (first.steps, 120, "processor")
    assert (second.seeds, tuple(second.overrides)) == (2, ("train.lr=0.5",))


@pytest.mark.parametrize(
    "override",
    ["train.stages.0.steps=5", "model.convolution=plain", "train.seed=3", "loss.perceptual=1.0"],
)
def test_what_makes_a_cell_cannot_be_set_for_all(
    prepare: Callable[..., Plan], override: str
) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=f"{key}: the cells differ in this"):
        prepare(overrides=[override])


def test_a_plan_that_is_read_is_the_one_that_was_made(prepare: Callable[..., Plan]) -> None:
    assert prepare() == prepare()


@pytest.mark.parametrize(
    "other",
    [
        {"seconds": 121.5},
        {"seeds": 1},
        {"overrides": ["train.lr=0.25"]},
        {"overrides": []},
        {"overrides": ["train.lr=0.5", "train.seed=1"]},
    ],
    ids=str,
)
def test_another_plan_is_refused(
    other: dict[str, Any], prepare: Callable[..., Plan], fakes: Fakes, tmp_path: Path
) -> None:
    given = {"seconds": 120.0, "seeds": 2, "overrides": ["train.lr=0.5"]}
    prepare(**given)
    written = (tmp_path / "out/plan.json").read_bytes()
    fakes.trained.clear()
    with pytest.raises(ConfigError) as refused:
        prepare(**(given | other))
    for words in ("`seconds=120`", "`seeds=2`", "['train.lr=0.5']", str(tmp_path / "out")):
        assert words in str(refused.value)
    assert fakes.trained == []
    assert (tmp_path / "out/plan.json").read_bytes() == written


def test_too_little_time_is_refused(prepare: Callable[..., Plan], tmp_path: Path) -> None:
    words = r"`seconds=17\.5` is too short: a step of 'gated' takes 0\.75 s.* at least 24$"
    with pytest.raises(ConfigError, match=words):
        prepare(seconds=17.5)
    assert not (tmp_path / "out/plan.json").exists()
    # The slowest cell takes 2 s a step, and 24 steps are enough.
    assert min(prepare(seconds=48).steps.values()) == 24


def test_stopped_while_timing_starts_over(
    prepare: Callable[..., Plan], fakes: Fakes, tmp_path: Path
) -> None:
    fakes.stop_in = "gated"
    with pytest.raises(KeyboardInterrupt):
        prepare()
    assert not (tmp_path / "out/plan.json").exists()
    fakes.stop_in = None
    fakes.trained.clear()
    prepare()
    assert [(name, resume) for name, _, resume in fakes.trained] == [(n, False) for n in CELLS]


# The runs.

PLAN = Plan(60.0, "processor", 2, ("train.lr=0.5",), {n: 30 + i for i, n in enumerate(CELLS)})
RUNS = [f"{name}-{seed}" for seed in (0, 1) for name in CELLS]


@pytest.fixture
def train_cells(fakes: Fakes, tmp_path: Path) -> Callable[[], dict[tuple[str, int], Path]]:
    return lambda: ablation.train_cells(tmp_path, tmp_path / "out", PLAN, silent, silent)


def test_all_cells_of_a_seed_come_before_the_next(
    train_cells: Callable[[], dict[tuple[str, int], Path]], fakes: Fakes, tmp_path: Path
) -> None:
    weights = train_cells()
    assert [name for name, _, _ in fakes.trained] == RUNS
    assert fakes.exported == RUNS
    assert weights == {
        (name, seed): tmp_path / f"out/cells/{name}-{seed}/{name}-{seed}.onnx"
        for name in CELLS
        for seed in (0, 1)
    }
    assert all(file.read_bytes() == b"weights" for file in weights.values())
    for run, config, resume in fakes.trained:
        name, _, seed = run.rpartition("-")
        assert config == cell_config(CELLS[name], int(seed), PLAN.steps[name], ["train.lr=0.5"])
        assert not resume


def test_what_is_finished_is_left_alone(
    train_cells: Callable[[], dict[tuple[str, int], Path]], fakes: Fakes, tmp_path: Path
) -> None:
    cells = tmp_path / "out/cells"
    for run in ("partial-0", "l1-1"):
        (cells / run).mkdir(parents=True)
        (cells / run / f"{run}.onnx").write_bytes(b"finished")
    weights = train_cells()
    assert [name for name, _, _ in fakes.trained] == [
        run for run in RUNS if run not in ("partial-0", "l1-1")
    ]
    assert list(weights) == [(name, seed) for seed in (0, 1) for name in CELLS]
    assert weights["partial", 0].read_bytes() == b"finished"
    fakes.trained.clear()
    assert train_cells() == weights
    assert fakes.trained == []


def test_a_run_goes_on_from_wherever_it_was(
    train_cells: Callable[[], dict[tuple[str, int], Path]], fakes: Fakes, tmp_path: Path
) -> None:
    cells = tmp_path / "out/cells"
    for run in ("plain-0", "partial-0", "gated-0"):
        (cells / run).mkdir(parents=True)
    # Killed before its first checkpoint, in the middle, and before it was exported.
    checkpoint.save(cells / "partial-0", {"step": PLAN.steps["partial"] - 1})
    checkpoint.save(cells / "gated-0", {"step": PLAN.steps["gated"]})
    resumed = {}

    def note(run: Path, out: Path, *, on_message: Callable[[str], None]) -> None:
        resumed[run.name] = [r for name, _, r in fakes.trained if name == run.name]
        out.write_bytes(b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "export", note)
        train_cells()
    assert resumed["plain-0"] == [False]
    assert resumed["partial-0"] == [True]
    assert resumed["gated-0"] == []
    assert resumed["l1-0"] == [False]
    assert list(resumed) == RUNS


def test_ctrl_c_leaves_what_is_done(
    train_cells: Callable[[], dict[tuple[str, int], Path]], fakes: Fakes, tmp_path: Path
) -> None:
    fakes.stop_in = "l1-0"
    with pytest.raises(KeyboardInterrupt):
        train_cells()
    cells = tmp_path / "out/cells"
    assert sorted(p.stem for p in cells.rglob("*.onnx")) == ["gated-0", "partial-0", "plain-0"]
    fakes.stop_in = None
    fakes.trained.clear()
    train_cells()
    assert [name for name, _, _ in fakes.trained] == RUNS[3:]
    assert [name for name, _, resume in fakes.trained if resume] == ["l1-0"]


def test_progress_is_told(fakes: Fakes, tmp_path: Path) -> None:
    lines: list[str] = []
    ablation.prepare(tmp_path, tmp_path / "out", 120, 1, (), lines.append)
    assert "plain: 0.25 s a step, 480 steps in 120 s" in lines
    lines.clear()
    ablation.train_cells(tmp_path, tmp_path / "out", PLAN, lines.append, silent)
    assert lines[0] == "plain, seed 0 (1 of 12)"
    assert lines[-1] == "perceptual, seed 1 (12 of 12)"


# The table.

Tables = dict[str, list[dict[str, str]]]


class Made:
    """A table of fake runs, and the same numbers by another way."""

    def __init__(self, photos: Path, out: Path, plan: Plan) -> None:
        self.plan, self.out = plan, out
        names = ("centre", "thin")
        self.manifest = protocols.build(photos, names)
        rng = np.random.default_rng(3)
        self.weights: dict[tuple[str, int], Path] = {}
        self.baselines: dict[str, Baseline] = {}
        self.cards: dict[tuple[str, int], dict[str, Any]] = {}
        for seed in range(plan.seeds):
            for number, name in enumerate(CELLS):
                path = out / "cells" / f"{name}-{seed}" / f"{name}-{seed}.onnx"
                path.parent.mkdir(parents=True)
                self.cards[name, seed] = {
                    "parameters": 1234 * (number + 1),
                    "gmac_512": 1.5 + number,
                    "training": {
                        "steps": 1000 * (number + 1),
                        "crops": 16000 * (number + 1),
                        "minutes": 20.0 + 2 * number + seed,
                        "cpu_minutes": 8.0 + number + seed / 2,
                    },
                }
                path.with_suffix(".json").write_text(json.dumps(self.cards[name, seed]))
                self.weights[name, seed] = path
                colour = rng.integers(0, 256, 3).astype(np.uint8)
                self.baselines[str(path)] = Baseline(
                    path.stem, hide_hole_and_composite(painted(colour)), f"{colour}"
                )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ablation_table, "find", self.baselines.__getitem__)
            baselines = ablation_table.measure(
                self.weights, photos, self.manifest, names, out / "evaluation", silent
            )
        assert baselines == list(self.baselines.values())
        setting = report.Setting(str(photos), "freefill ablate ...", self.manifest, ())
        self.files = ablation_table.write(
            self.weights, plan, baselines, setting, photos, names, out / "evaluation"
        )
        self.values: dict[tuple[str, str, str], NDArray[np.float64]] = {}
        """Metric by protocol, size and metric: (cells and seeds in their order, photos)."""
        for name in names:
            samples = [
                protocols.sample(self.manifest, photos, p, name) for p in self.manifest.photos
            ]
            for column in measures.columns():
                if column.key not in ("lpips", *ablation_table.METRICS):
                    continue
                for size in ("64", "96"):
                    self.values[name, size, column.key] = np.array(
                        [
                            [
                                column.metric(
                                    self.baselines[str(path)].fill(s.pixels, s.hole),
                                    s.pixels,
                                    s.hole if column.hole else None,
                                )
                                for s in samples
                                if s.photo.size == size
                            ]
                            for path in self.weights.values()
                        ]
                    )

    def of(self, protocol: str, size: str, metric: str, cell: str) -> NDArray[np.float64]:
        """Give one cell's values, (seeds, photos)."""
        rows = [i for i, (name, _) in enumerate(self.weights) if name == cell]
        return self.values[protocol, size, metric][rows]

    def tables(self) -> Tables:
        found: Tables = {}
        for section in self.files[0].read_text().split("\n## ")[1:]:
            title, *lines = section.splitlines()
            rows = [
                [cell.strip() for cell in line.strip("|").split("|")]
                for line in lines
                if line.startswith("|")
            ]
            assert set(rows[1]) == {"---"}
            found[title] = [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
        return found


def painted(colour: NDArray[np.uint8]) -> Callable[..., NDArray[np.uint8]]:
    return lambda photo, hole: np.where(hole[..., None], colour, photo)


@pytest.fixture(scope="module")
def made(photos: Path, network_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    plan = Plan(60.0, "processor", 2, (), {name: 30 for name in CELLS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FREEFILL_REFERENCES", str(network_folder))
        return Made(photos, tmp_path_factory.mktemp("table"), plan)


AXES = {"Convolution": CONVOLUTIONS, "Loss": LOSSES}
PLACES = pytest.mark.parametrize(
    ("axis", "protocol", "size"), list(itertools.product(AXES, ("centre", "thin"), ("64", "96")))
)


@PLACES
def test_means_are_over_photos_and_seeds(made: Made, axis: str, protocol: str, size: str) -> None:
    rows = made.tables()[f"{axis}: {protocol}, {size}"]
    assert [row["cell"] for row in rows] == list(AXES[axis])
    means = {cell: made.of(protocol, size, "lpips", cell).mean() for cell in AXES[axis]}
    for row in rows:
        cell = row["cell"]
        lpips = made.of(protocol, size, "lpips", cell)
        low, high = bootstrap_interval(lpips.mean(0))
        text = f"{lpips.mean():.4f} [{low:.4f}, {high:.4f}]"
        best = means[cell] == min(means.values())
        assert row["LPIPS ↓"] == (f"**{text}**" if best else text)
        assert row["each seed"] == ", ".join(f"{seed.mean():.4f}" for seed in lpips)
        for key, title, digits in (
            ("hole_lpips", "LPIPS, hole ↓", 4),
            ("l1", "l1 % ↓", 2),
            ("psnr", "PSNR dB ↑", 2),
            ("ssim", "SSIM ↑", 4),
            ("seam", "seam % ↓", 2),
        ):
            mean = made.of(protocol, size, key, cell).mean()
            assert row[title] == f"{mean:.{digits}f}"


@PLACES
def test_difference_is_to_gated_and_paired_by_photo(
    made: Made, axis: str, protocol: str, size: str
) -> None:
    rows = {row["cell"]: row for row in made.tables()[f"{axis}: {protocol}, {size}"]}
    gated = made.of(protocol, size, "lpips", "gated").mean(0)
    assert rows.pop("gated")["less gated's"] == ""
    for cell, row in rows.items():
        less = made.of(protocol, size, "lpips", cell).mean(0) - gated
        low, high = bootstrap_interval(less)
        p = wilcoxon(less).pvalue
        expected = f"{less.mean():+.4f} [{low:+.4f}, {high:+.4f}] p = {p:.3f}"
        assert row["less gated's"] == expected


def test_the_best_is_one_a_table_and_not_always_the_same(made: Made) -> None:
    best = set()
    for title, rows in made.tables().items():
        bold = [row["cell"] for row in rows if any(v.startswith("**") for v in row.values())]
        assert len(bold) == (0 if title == "Runs" else 1)
        best |= set(bold)
    assert len(best) > 1


def test_runs_say_what_they_cost(made: Made) -> None:
    rows = made.tables()["Runs"]
    assert [row["cell"] for row in rows] == list(CELLS)
    for row in rows:
        cell, card = CELLS[row["cell"]], made.cards[row["cell"], 0]
        assert (row["convolution"], row["loss"]) == (cell.convolution, cell.loss)
        assert row["parameters"].replace(",", "") == str(card["parameters"])
        assert row["GMAC at 512"] == f"{card['gmac_512']:.2f}"
        assert row["steps"].replace(",", "") == str(card["training"]["steps"])
        assert row["crops"].replace(",", "") == str(card["training"]["crops"])
        minutes = [made.cards[row["cell"], seed]["training"]["cpu_minutes"] for seed in (0, 1)]
        assert row["processor minutes"] == ", ".join(f"{m:.1f}" for m in minutes)
    text = made.files[0].read_text()
    assert "planned for 60 seconds of processor time" in text
    assert LEGEND[0] in text


def test_on_a_gpu_it_is_the_clocks_time(made: Made) -> None:
    plan = Plan(60.0, "wall", 2, (), made.plan.steps)
    grid = ablation_table._runs(made.weights, plan)
    assert grid.heads[-1] == "wall minutes"
    for row, name in zip(grid.rows, CELLS, strict=True):
        minutes = [made.cards[name, seed]["training"]["minutes"] for seed in (0, 1)]
        assert row[-1].text == ", ".join(f"{m:.1f}" for m in minutes)


def test_every_picture_is_in_the_csv_and_the_sheet_can_be_seen(made: Made) -> None:
    assert [path.name for path in made.files] == ["ablation.md", "ablation.csv", "ablation.jpg"]
    with made.files[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(made.weights) * 5
    files = {"64": [p.file for p in made.manifest.photos if p.size == "64"]}
    for row in rows:
        if row["protocol"] == "thin" and row["photo"] in files["64"]:
            name, _, seed = row["method"].rpartition("-")
            values = made.of("thin", "64", "psnr", name)[int(seed)]
            assert float(row["psnr"]) == pytest.approx(
                values[files["64"].index(row["photo"])], rel=1e-6
            )
    with Image.open(made.files[2]) as sheet:
        # A hole, six fills and the truth in a row.
        assert sheet.width > 8 * 64


# The command.


def test_command_stops_by_ctrl_c(
    command: Callable[..., Any], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("freefill.weights.third_party.find", lambda name: tmp_path)
    monkeypatch.setattr(ablation, "prepare", stopped)
    done = command("ablate", "--data", photos, "--test", photos, "--out", tmp_path / "out")
    assert done.returncode == 130
    assert f"the same command goes on from what is in {tmp_path / 'out'}" in done.stderr


def test_command_looks_at_the_test_photos_before_it_trains(
    command: Callable[..., Any],
    photos: Path,
    fakes: Fakes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("freefill.weights.third_party.find", lambda name: tmp_path)
    (tmp_path / "empty").mkdir()
    done = command(
        "ablate", "--data", photos, "--test", tmp_path / "empty", "--out", tmp_path / "o"
    )
    assert done.returncode == 2
    assert "empty holds no photos" in done.stderr
    assert fakes.trained == []


def test_command_refuses_a_wrong_setting_and_another_plan(
    command: Callable[..., Any],
    photos: Path,
    fakes: Fakes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("freefill.weights.third_party.find", lambda name: tmp_path)
    words = ["ablate", "--data", photos, "--test", photos, "--out", tmp_path / "out"]
    done = command(*words, "--set", "model.chanels=[8,8,8]")
    assert done.returncode == 2
    assert "model.chanels: no such setting" in done.stderr
    ablation.prepare(photos, tmp_path / "out", 99.0, 1, ["train.lr=0.5"], silent)
    done = command(*words, "--seconds", "99", "--seeds", "1")
    assert done.returncode == 2
    expected = "--seconds 99, --seeds 1 and ['train.lr=0.5'] set, not with 99, 1 and []: repeat"
    assert expected in done.stderr
