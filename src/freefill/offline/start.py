#!/usr/bin/env python3
"""Train from the parts that `freefill offline` made, without internet.

  python3 start.py --seconds 600 --out run

Lies beside part-1.tar, part-2.tar, ...; unpacks them, names what is missing, and trains. Every
minute the average weights are written to OUT/average: bring that folder back, and make weights of
it with `freefill export OUT/average --out weights.onnx`, or go on from it with
`--init-from OUT/average`. Needs Python 3.11, torch and, unless wheels of them were packed,
lightning-fabric, pydantic, safetensors, tensorboard, scipy, tomli-w, typer, numpy and Pillow.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

SETTINGS = "settings.json"
NETWORK = "lpips_vgg.safetensors"
LIST = "photos.csv"
PHOTOS = "photos"
INIT = "init"
WHEELS = "wheels"
SITE = "site"
NEEDED = {
    "torch": "torch",
    "lightning_fabric": "lightning-fabric",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "scipy": "scipy",
    "tomli_w": "tomli-w",
    "typer": "typer",
    "numpy": "numpy",
    "PIL": "Pillow",
}


def unpack(parts: Path, into: Path) -> None:
    """Unpack all parts, and the wheels in them; what an earlier call unpacked stays."""
    files = sorted(parts.glob("part-*.tar"))
    if not files:
        sys.exit(f"start.py: no part-1.tar in {parts}: name the folder of the parts with --parts")
    for file in files:
        done = into / f".{file.name}.done"
        if done.exists() and done.stat().st_mtime >= file.stat().st_mtime:
            continue
        print(f"start.py: unpacking {file}", flush=True)
        with tarfile.open(file) as tar:
            tar.extractall(into, filter="data")
        done.touch()
    for wheel in sorted((into / WHEELS).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into / SITE)


def main() -> int:
    """Unpack, check and train; give the exit code."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=Path, default=here, help="folder of the parts")
    parser.add_argument("--work", type=Path, help="where they are unpacked (PARTS/unpacked)")
    parser.add_argument("--out", type=Path, default=Path("run"), help="folder of the run (run)")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds")
    parser.add_argument("--average-every", type=float, default=60, help="seconds (60)")
    parser.add_argument("--init-from", help="weights to start from, in place of those packed")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="one setting; repeatable"
    )
    parser.add_argument("--only-unpack", action="store_true", help="unpack and check, then stop")
    given = parser.parse_args()
    work = (given.work or given.parts / "unpacked").resolve()
    work.mkdir(parents=True, exist_ok=True)
    unpack(given.parts.resolve(), work)
    added = [str(work / "src"), str(work / SITE)]
    sys.path[:0] = added
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(
            f"start.py: this Python ({sys.executable}) has no {', '.join(missing)}: install them, "
            "or pack their wheels with 'freefill offline --wheels FOLDER'",
            file=sys.stderr,
        )
        return 2
    if given.only_unpack:
        return 0
    settings = work / "settings.toml"
    from freefill.offline.settings import write

    write(work / SETTINGS, settings)
    init = given.init_from or (str(work / INIT) if (work / INIT).is_dir() else None)
    if init:
        init = str(Path(init).resolve())
    command = [sys.executable, "-m", "freefill", "train", "--data", PHOTOS]
    command += ["--out", str(given.out.resolve()), "--config", str(settings)]
    command += ["--average-every", str(given.average_every)]
    command += ["--seconds", str(given.seconds)] if given.seconds else []
    command += ["--init-from", init] if init else []
    for setting in given.set:
        command += ["--set", setting]
    path = os.pathsep.join([*added, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(command, cwd=work, env={**os.environ, "PYTHONPATH": path}).returncode


if __name__ == "__main__":
    sys.exit(main())
