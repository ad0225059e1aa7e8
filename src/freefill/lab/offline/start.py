#!/usr/bin/env python3
"""Train from the parts that `freefill offline` made, without internet.

  python3 start.py --seconds 600 --out run

Lies beside part-1.tar, part-2.tar, ...; unpacks them, names what is missing, and trains. Every
minute the average weights are written to OUT/average: bring that folder back, and make weights of
it with `freefill export OUT/average --out weights.onnx`, or go on from it with
`--init-from OUT/average`. Needs Python 3.11, torch and, unless wheels of them were packed,
lightning-fabric, tensorboard, pydantic, safetensors, tomli-w, platformdirs, filelock, numpy and
Pillow.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

CONTENTS = "contents.json"
SETTINGS = "settings.toml"
NETWORK = "lpips_vgg.safetensors"
LIST = "photos.csv"
PHOTOS = "photos"
PLUGINS = "plugins"
INIT = "init"
WHEELS = "wheels"
SOURCE = "src"
SITE = "site"
NOTE = "unpacked.json"
"""Written last into what was unpacked: of which parts it is."""
NEEDED = {
    "torch": "torch",
    "lightning_fabric": "lightning-fabric",
    "tensorboard": "tensorboard",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "tomli_w": "tomli-w",
    "numpy": "numpy",
    "PIL": "Pillow",
    "platformdirs": "platformdirs",
    "filelock": "filelock",
}


def unpack(parts: Path, into: Path) -> None:
    """Unpack all parts, and the wheels in them, unless an earlier call did.

    What was unpacked from other parts is replaced; a call that is stopped leaves nothing half done.
    """
    files = sorted(parts.glob("part-*.tar"))
    if not files:
        sys.exit(f"start.py: no part-1.tar in {parts}: name the folder of the parts with --parts")
    stats = [file.stat() for file in files]
    own = [[f.name, s.st_size, s.st_mtime_ns] for f, s in zip(files, stats)]  # noqa: B905
    if (into / NOTE).is_file():
        if json.loads((into / NOTE).read_text()) == own:
            return
        shutil.rmtree(into)
    elif into.exists() and any(into.iterdir()):
        sys.exit(f"start.py: {into} holds something else: choose another --work")
    partial = into.with_name(f"{into.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    count = sum(_extracted(file, partial) for file in files)
    try:
        contents = json.loads((partial / CONTENTS).read_text())
    except OSError:
        contents = {"parts": "more", "files": -1}
    if (contents["parts"], contents["files"] + 1) != (len(files), count):
        sys.exit(
            f"start.py: {parts} has {', '.join(file.name for file in files)}; there are "
            f"{contents['parts']} parts of one packing, each whole: copy all of them"
        )
    for wheel in sorted((partial / WHEELS).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(partial / SITE)  # noqa: S202 - never writes beside it
    (partial / NOTE).write_text(json.dumps(own))
    if into.exists():
        into.rmdir()
    partial.rename(into)


def _extracted(file: Path, into: Path) -> int:
    """Unpack one part; give the number of its files."""
    print(f"start.py: unpacking {file}", file=sys.stderr, flush=True)
    count = 0
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                content = tar.extractfile(member)
                if content is None or path.is_absolute() or ".." in path.parts:
                    sys.exit(f"start.py: {file} holds {member.name}, which is not of this program")
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                (into / path).write_bytes(content.read())
                count += 1
    except (tarfile.TarError, EOFError) as error:
        sys.exit(f"start.py: {file} is not whole ({error}): copy it again")
    return count


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
    parser.add_argument(
        "--init-from", type=Path, help="average weights to start from, in place of those packed"
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT's last checkpoint")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="one setting; repeatable"
    )
    parser.add_argument("--only-unpack", action="store_true", help="unpack and check, then stop")
    given = parser.parse_args()
    if given.seconds is not None and given.seconds < 1:
        parser.error(f"--seconds {given.seconds:g}: it must be at least 1")
    if given.average_every < 1:
        parser.error(f"--average-every {given.average_every:g}: it must be at least 1")
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this has not installed freefill
        print(f"start.py: Python 3.11 is needed; this is {sys.version}", file=sys.stderr)
        return 2
    work = (given.work or given.parts / "unpacked").resolve()
    unpack(given.parts.resolve(), work)
    # What was packed comes before what is installed.
    sys.path[:0] = [str(work / SOURCE), str(work / SITE)]
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
    init = given.init_from or (work / INIT if (work / INIT).is_dir() else None)
    from freefill.lab.offline.run import run

    out, init = given.out.resolve(), init and init.resolve()
    # The settings name files beside them; and a lent machine may have no home to write to.
    if named := os.environ.get("FREEFILL_CACHE"):
        os.environ["FREEFILL_CACHE"] = os.path.abspath(os.path.expanduser(named))
    os.chdir(work)
    os.environ.setdefault("XDG_CACHE_HOME", str(work / "cache"))
    return run(
        out,
        Path(SETTINGS),
        PHOTOS,
        overrides=given.set,
        init=init,
        resume=given.resume,
        seconds=given.seconds,
        average_every=given.average_every,
        command=shlex.join(["start.py", *sys.argv[1:]]),
    )


if __name__ == "__main__":
    sys.exit(main())
