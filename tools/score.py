"""Score networks on the held-out photos: the number that networks are chosen by.

Fills the 96 held-out photos of docs/data/photos.csv through the whole pipeline and compares the
fills with the truth by LPIPS-AlexNet. The test photos have no part in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from freefill.errors import FreefillError
from freefill.imaging.atomic import write_atomically
from freefill.weights import third_party
from scoring import comparing, measuring, networks, photos, sheets, tables
from scoring.progress import Progress

ROOT = Path(__file__).parents[1]
DONE, REFUSED, STOPPED = 0, 2, 130

EPILOG = """what is measured:
  Four columns: free-form holes and the centre rectangle, at 256 (64 photos) and at 512 (32 photos).
  Each photo has three free-form holes, drawn from a seed and the photo's place in the list, and one
  centre rectangle. The score is the mean of the four columns of LPIPS of the whole picture: less is
  better. Differences are to the first network named, over the same photos and holes, with a 95 %
  bootstrap interval and Wilcoxon's signed-rank test; each photo counts with its mean over its
  holes, and weighs so that 256 and 512 count alike. Times are ratios of warm calls at 512x512, made
  in turn. PSNR is of the hole's pixels, mean of the four columns.

examples:
  python tools/score.py light --data data
      the bundled weights
  python tools/score.py light mine=runs/mine --data data
      a run against them: its average weights are exported first
  python tools/score.py base=runs/base attn=runs/attn/average new.onnx --data data --sheet sheet.jpg
      three networks, compared with base; and 24 of the photos to look at

--work keeps what was measured, by the hash of the weights and the pipeline's number: a call with
one more network measures that one alone, and a call that was stopped goes on where it was.
It also gets score.md (the table) and score.csv (a line for each network, photo and hole).
exit code: 0 done, 2 refused, 130 stopped.
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command.

    Args:
        argv: Its arguments; by default what was typed.
        root: The repository.

    Returns:
        The exit code.
    """
    args = _parser().parse_args(argv)
    try:
        _score(args, root)
    except FreefillError as error:
        _say(f"error: {error}")
        return REFUSED
    except KeyboardInterrupt:
        _say(f"stopped; the same command goes on from {args.work}")
        return STOPPED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/score.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "networks",
        nargs="+",
        metavar="NAME=PATH",
        help="a run's folder, a checkpoint, average weights, an .onnx file or a bundled name; "
        "the others are compared with the first",
    )
    add(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder with the held-out photos anywhere below it, by file name (%(default)s)",
    )
    add("--work", type=Path, default=Path("out/score"), help="what is kept (%(default)s)")
    add("--sheet", type=Path, help="picture to write: 24 of the photos, filled by each network")
    add("--threads", type=int, help="of a fill; by default every core")
    return parser


def _score(args: argparse.Namespace, root: Path) -> None:
    held = photos.held_out(root / photos.LIST, args.data)
    third_party.fetch("lpips_alex", _say)
    found = networks.find(args.networks, args.work / "networks", _say)
    values = []
    for network in found:
        folder, progress = args.work / "values", Progress(_say, f"photos by {network.name}")
        values.append(
            measuring.measure(network.weights, held, folder, threads=args.threads, report=progress)
        )
    scores = [comparing.score(held, one) for one in values]
    largest = max(held, key=lambda photo: photo.side)
    times = measuring.time_in_turn([n.weights for n in found], largest, args.threads)
    rows = [
        tables.Row(network, score, comparing.compare(scores[0], score) if i else None, ratio)
        for i, (network, score, (_, ratio)) in enumerate(zip(found, scores, times, strict=True))
    ]
    first = found[0].name
    lines = [tables.markdown(rows), ""]
    lines += [f"{r.network.name}: {comparing.verdict(first, r.less)}" for r in rows if r.less]
    lines.append(f"A call of {first} took {times[0][0]:.0f} ms.")
    text = "\n".join(lines) + "\n"
    print(text, end="", flush=True)
    args.work.mkdir(parents=True, exist_ok=True)
    write_atomically(args.work / "score.md", text.encode())
    named = {n.name: (n, one) for n, one in zip(found, values, strict=True)}
    write_atomically(args.work / "score.csv", tables.per_photo(held, named).encode())
    if args.sheet:
        progress = Progress(_say, "rows of the sheet")
        page = sheets.draw(held, found, values, threads=args.threads, report=progress)
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        page.save(args.sheet, quality=92)
        _say(f"sheet: {args.sheet}, {page.width}x{page.height}")


def _say(line: str) -> None:
    print(f"score: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
