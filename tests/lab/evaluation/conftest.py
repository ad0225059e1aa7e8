"""Small networks in place of the real ones, small photos, and one finished evaluation of them."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation import results as summary
from freefill.lab.evaluation import runner
from freefill.lab.evaluation.baselines import Baseline, find
from freefill.lab.evaluation.protocol import Manifest
from freefill.lab.evaluation.results import Results
from freefill.lab.models.lpips import Lpips
from freefill.weights import third_party

EXAMPLES = Path(__file__).parents[3] / "examples"
PROTOCOLS = ("centre", "thin")
CUTS = {
    "64/flower_bee.png": ("bee", (120, 90, 184, 154)),
    "64/flower_dahlia.jpg": ("dahlia", (200, 200, 284, 264)),
    "64/town_street.png": ("street", (100, 150, 164, 240)),
    "96/flower_fruit.png": ("fruit", (100, 100, 196, 180)),
    "96/town_bricks.png": ("bricks", (60, 60, 140, 156)),
}
"""File to example and (left, upper, right, lower)."""


class Pooled(nn.Module):
    """Instead of Inception: 32 numbers of a picture, none of them linear in it."""

    def forward(self, x: Tensor) -> Tensor:
        colours = F.adaptive_avg_pool2d(x, 3).flatten(1)
        edges = (x[:, :, 1:] - x[:, :, :-1]).abs().mean((2, 3))
        return torch.cat(
            [colours.tanh(), edges, x.std((1, 2, 3))[:, None], x.amax((2, 3))[:, :1]], 1
        )


@pytest.fixture(scope="session")
def network_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `freefill references` fills it, with random weights."""
    folder = tmp_path_factory.mktemp("references")
    generator = torch.Generator().manual_seed(5)
    convolutions = [m for m in Lpips("alex").features if isinstance(m, nn.Conv2d)]
    tensors = {}
    for number, (place, layer) in enumerate(zip((0, 3, 6, 8, 10), convolutions, strict=True)):
        shape = layer.weight.shape
        scale = shape[1:].numel() ** 0.5
        tensors[f"features.{place}.weight"] = torch.randn(shape, generator=generator) / scale
        tensors[f"features.{place}.bias"] = torch.randn(shape[0], generator=generator) / 10
        tensors[f"lin{number}"] = torch.rand(1, shape[0], 1, 1, generator=generator)
    save_file(tensors, folder / third_party.MODELS["lpips_alex"].file)
    torch.jit.script(Pooled()).save(str(folder / third_party.MODELS["inception"].file))
    return folder


@pytest.fixture
def networks(network_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(network_folder))
    return network_folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos of 64 to 96 pixels in two folders. Shared: none may write to it."""
    folder = tmp_path_factory.mktemp("photos")
    for file, (example, box) in CUTS.items():
        target = folder / file
        target.parent.mkdir(exist_ok=True)
        with Image.open(EXAMPLES / f"{example}.jpg") as image:
            image.crop(box).save(target)
    return folder


@pytest.fixture
def own_photos(photos: Path, tmp_path: Path) -> Path:
    """A copy of the photos to write to."""
    return Path(shutil.copytree(photos, tmp_path / "photos"))


def copy_command(folder: Path) -> str:
    """Write a program that gives back what it gets; give the command that runs it."""
    script = folder / "copy.py"
    script.write_text("import shutil, sys\nshutil.copyfile(sys.argv[1], sys.argv[3])\n")
    # Without site-packages Python starts at once. What follows {out} is there to be printed.
    return f"{sys.executable} -S {script} {{image}} {{mask}} {{out}} '<b>|\"`&amp;'"


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """The command of a program that gives back what it gets."""
    return copy_command(tmp_path)


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation, and what it was made of."""

    data: Path
    manifest: Manifest
    baselines: tuple[Baseline, ...]
    out: Path
    results: Results
    names: tuple[str, ...] = PROTOCOLS

    def evaluate(self, **changes: object) -> int:
        """Go on with it, with other baselines, names, data, manifest or kid."""
        given = {
            "data": self.data,
            "manifest": self.manifest,
            "names": self.names,
            "baselines": self.baselines,
            "out": self.out,
            "kid": True,
        }
        return runner.evaluate(**(given | changes))  # type: ignore[arg-type]

    def collect(self, baselines: tuple[Baseline, ...] | None = None, kid: bool = True) -> Results:
        return summary.collect(
            self.manifest, self.names, baselines or self.baselines, self.out, kid
        )

    def files(self) -> dict[str, bytes]:
        """Give the content of every file of every picture."""
        folder = self.out / "pictures"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="session")
def finished(
    photos: Path, network_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Evaluated:
    """The five photos with two protocols, filled in three ways. Shared: none may write to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(third_party.FOLDER_VARIABLE, str(network_folder))
        out = tmp_path_factory.mktemp("finished")
        manifest = protocols.build(photos, PROTOCOLS)
        command = copy_command(tmp_path_factory.mktemp("program"))
        baselines = find("mean_colour"), find("telea"), find(f"copy={command}")
        assert runner.evaluate(photos, manifest, PROTOCOLS, baselines, out) == 30
        found = summary.collect(manifest, PROTOCOLS, baselines, out, kid=True)
    return Evaluated(photos, manifest, baselines, out, found)


@pytest.fixture
def own(finished: Evaluated, networks: Path, tmp_path: Path) -> Evaluated:
    """A copy of the finished evaluation to write to."""
    out = Path(shutil.copytree(finished.out, tmp_path / "own"))
    return Evaluated(finished.data, finished.manifest, finished.baselines, out, finished.results)
