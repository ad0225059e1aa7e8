"""The options of `tools/bundle.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

MANIFEST = Path("benchmarks/test-photos.toml")
EPILOG = """examples:
  python tools/bundle.py runs/light --held data --data data/test
      the usual way: export, score, and if the score is lower measure the table and exchange
  python tools/bundle.py from-the-gpu/ --held data --notes configs/light.notes.json
      the same for a folder of average.safetensors and run.json, written by a run elsewhere
  python tools/bundle.py --again --held data --data data/test
      the weights that are bundled, measured and filled with again: PIPELINE_VERSION was raised
  python tools/bundle.py --again --skip-table
      their golden fills alone

The score of tools/score.py decides, on the held-out photos: less is better, and p says how sure
that is. The test photos are measured after that and decide nothing. Values and pictures stay in
--work: a run that was stopped goes on. Until the last moment nothing in the repository is changed,
and then everything is. exit code: 0 bundled, 1 not better, 2 refused, 130 stopped.
"""


def parser(about: str) -> argparse.ArgumentParser:
    """Give what reads the command's arguments.

    Args:
        about: What the command does.
    """
    found = argparse.ArgumentParser(
        prog="python tools/bundle.py",
        description=about,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add(
        "run",
        type=Path,
        nargs="?",
        help="folder of a run, a checkpoint, or a folder of average weights (average.safetensors "
        "and run.json)",
    )
    add("--again", action="store_true", help="no new weights: those that are bundled once more")
    add(
        "--held",
        type=Path,
        default=Path("data"),
        help="folder with the held-out photos anywhere below it, which decide (%(default)s)",
    )
    add(
        "--data",
        type=Path,
        default=Path("data/test"),
        help="the test photos, for the main table (%(default)s)",
    )
    add(
        "--notes",
        type=Path,
        help="JSON with more entries for the card: licence, data (configs/NAME.notes.json)",
    )
    add("--name", default="light", help="of the bundled weights (%(default)s)")
    add("--work", type=Path, default=Path("out/bundle"), help="what is kept (%(default)s)")
    add(
        "--manifest",
        type=Path,
        help=f"test photos by hash, holes by seed ({MANIFEST.as_posix()})",
    )
    add(
        "--even-if-worse",
        action="store_true",
        help="bundle weights whose score is not lower, too",
    )
    add(
        "--skip-table",
        action="store_true",
        help="measure nothing and leave the table; new weights need --even-if-worse with it",
    )
    return found
