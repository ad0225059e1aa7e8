"""The page's own modules in Node, with ONNX Runtime's build for the web."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.server.site import browser_folder
from freefill.weights import registry

Samples = NDArray[np.uint8]


@dataclass
class Case:
    """A photo and what of it is marked, `(H, W[, C])` and `(H, W)`, both uint8."""

    photo: Samples
    mask: Samples
    soft: bool = False
    lines: Samples | None = None
    strokes: Samples | None = None


class Node:
    """The page's own modules, run in Node."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        self.runtime = runtime

    def fill(self, cases: dict[str, Case]) -> tuple[dict[str, Samples], dict[str, Any]]:
        """Fill; give the photos, and what was told of each."""
        told = []
        for name, case in cases.items():
            self._write(name, "photo", case.photo)
            self._write(name, "mask", case.mask)
            if case.lines is not None:
                self._write(name, "lines", case.lines)
            if case.strokes is not None:
                self._write(name, "painted", (case.strokes[..., 3] > 127).astype(np.uint8))
                self._write(name, "colours", case.strokes[..., :3])
            height, width = case.mask.shape
            guided = {"lines": case.lines is not None, "colours": case.strokes is not None}
            told.append(
                {
                    "name": name,
                    "width": width,
                    "height": height,
                    "channels": case.photo.size // case.mask.size,
                    "soft": case.soft,
                    "guided": guided if any(guided.values()) else None,
                }
            )
        plan = {
            "modules": str(browser_folder()),
            "runtime": str(self.runtime),
            "weights": str(registry.find("light").path),
            "cases": told,
        }
        (self.folder / "cases.json").write_text(json.dumps(plan))
        lines = run_node(Path(__file__).parent / "fills.mjs", self.folder)
        filled = {
            name: np.fromfile(self.folder / f"{name}.filled", np.uint8).reshape(case.photo.shape)
            for name, case in cases.items()
        }
        return filled, {line["name"]: line for line in map(json.loads, lines)}

    def _write(self, name: str, kind: str, content: Samples) -> None:
        np.ascontiguousarray(content).tofile(self.folder / f"{name}.{kind}")


def run_node(*arguments: str | Path) -> list[str]:
    """Run Node, the environment's own; give what it prints."""
    program = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    assert program, "no Node: pip install -e '.[dev]' brings one"
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
