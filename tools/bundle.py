"""Bundle a run as the weights that come with freefill, in one command.

Exports the run, measures it against the weights that are bundled, and where it is better exchanges
all that goes with them: the ONNX file and its card, the registry, the golden fills, the main table.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundling import documents, golden, measuring
from bundling.exchange import exchange
from freefill import references
from freefill.errors import ConfigError, FreefillError, WeightsError
from freefill.export.export import export
from freefill.inpainter import PIPELINE, Inpainter
from freefill.weights.registry import Weights

ROOT = Path(__file__).parents[1]
BUNDLED = Path("src/freefill/weights/bundled")
REGISTRY = Path("src/freefill/weights/registry.toml")
GOLDEN = Path("tests/golden")
PAGE = Path("docs/results/bundled.md")
EVERY = 20.0
"""Seconds between two lines of progress."""

DONE, WORSE, REFUSED, STOPPED = 0, 1, 2, 130

EPILOG = """examples:
  python tools/bundle.py runs/light --data data/test
      the usual way: export, measure against what is bundled, exchange if it is better
  python tools/bundle.py from-the-gpu/ --data data/test --notes configs/light.notes.json
      the same for a folder of average.safetensors and run.json, written by a run elsewhere
  python tools/bundle.py --again --data data/test
      the weights that are bundled, measured and filled with again: after PIPELINE was raised
  python tools/bundle.py --again --skip-table
      their golden fills alone

Less LPIPS is better; the mean of the four columns decides, and p says how sure that is. Pictures
stay in --work: a run that was stopped goes on. Until the last moment nothing in the repository is
changed, and then everything is. exit code: 0 bundled, 1 not better, 2 refused, 130 stopped.
"""


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command.

    Args:
        argv: Its arguments; by default what was typed.
        root: The repository.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    args = _parser().parse_args(given)
    # Where else a folder lies on this machine concerns no reader.
    shown = [Path(word).name if word.startswith(("/", "..")) else word for word in given]
    command = shlex.join(["python", "tools/bundle.py", *shown])
    try:
        return _again(args, root, command) if args.again else _bundle(args, root, command)
    except FreefillError as error:
        _say(f"error: {error}; nothing was changed")
        return REFUSED
    except KeyboardInterrupt:
        _say(f"stopped; nothing was changed. The same command goes on from {args.work}")
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/bundle.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "run",
        type=Path,
        nargs="?",
        help="folder of a run, a checkpoint, or a folder of average weights (average.safetensors "
        "and run.json)",
    )
    add("--again", action="store_true", help="no new weights: those that are bundled once more")
    add("--data", type=Path, default=Path("data/test"), help="the test photos (%(default)s)")
    add(
        "--notes",
        type=Path,
        help="JSON with more entries for the card: licence, data (configs/NAME.notes.json)",
    )
    add("--name", default="light", help="of the bundled weights (%(default)s)")
    add("--work", type=Path, default=Path("out/bundle"), help="folder of pictures (%(default)s)")
    add(
        "--manifest",
        type=Path,
        help="photos by hash, holes by seed (benchmarks/test-photos.toml)",
    )
    add(
        "--even-if-worse",
        action="store_true",
        help="bundle weights whose mean LPIPS is not lower, too",
    )
    add(
        "--skip-table",
        action="store_true",
        help="measure nothing and leave the table; new weights need --even-if-worse with it",
    )
    return parser


def _bundle(args: argparse.Namespace, root: Path, command: str) -> int:
    if args.run is None:
        raise ConfigError("name the run to bundle, or give --again")
    if args.skip_table and not args.even_if_worse:
        raise ConfigError(
            "--skip-table measures nothing, so nobody knows whether the run is better: add "
            "--even-if-worse, or leave --skip-table out"
        )
    old = _bundled(args.name, root)
    notes = _notes(args.notes, args.name, root)
    _check_documents(root, args)
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        out = Path(folder) / f"{args.name}.onnx"
        card = export(args.run, out, notes=notes, say=_say)
        new = Weights(args.name, out)
        if new.short == old.short:
            raise ConfigError(f"{args.run} is {old.short}, which is bundled already: use --again")
        photos = documents.photo_list(card["training"]["config"], root)
        measured = None if args.skip_table else _measured(args, root, new, old)
        if measured and not measured.better:
            if not args.even_if_worse:
                _say(
                    f"{new.short} is not better than {old.short}, which stays: nothing was "
                    "changed (--even-if-worse bundles it all the same)"
                )
                return WORSE
            _say(f"{new.short} is not better than {old.short}, and is bundled all the same")
        card = documents.card(card, args.name, measured, photos)
        _say("golden fills")
        fills = golden.make(root / "examples", Inpainter(out))
        contents = _documents(root, args, card, measured, new, fills, command)
        bundled = root / BUNDLED / f"{args.name}.onnx"
        tensors = bundled.with_suffix(".safetensors")
        if tensors.exists():  # git and the wheel leave it out; of other weights it would be wrong
            contents[tensors] = out.with_suffix(".safetensors").read_bytes()
        # Who sees the new ONNX file sees its card.
        contents[bundled] = out.read_bytes()
        exchange(contents)
        _say(f"{new.short} is bundled in place of {old.short}")
        _remind(root, old.short)
        return DONE


def _again(args: argparse.Namespace, root: Path, command: str) -> int:
    if args.run is not None or args.even_if_worse or args.notes:
        raise ConfigError("--again is about the weights that are bundled: leave out RUN and others")
    weights = _bundled(args.name, root)
    weights.check()
    _check_documents(root, args)
    _say("golden fills")
    fills = golden.make(root / "examples", Inpainter(weights.path))
    kept = _kept(golden.folder(root / GOLDEN, weights))
    if kept and (lines := golden.differences(kept, {k: v for k, v in fills.items() if k in kept})):
        raise ConfigError(
            f"{weights.short} fills otherwise than before, and PIPELINE is still {PIPELINE} "
            f"({lines[0]}): raise it in src/freefill/inpainter.py if that is meant"
        )
    # As they are where they still hold: another processor's roundings are no news.
    fills |= {name: content for name, content in kept.items() if name in fills}
    measured = None if args.skip_table else _measured(args, root, weights, weights)
    card = weights.card
    if measured:
        entry = measured.entry()
        del entry["before"]
        # What the card has of rivals, and of other measures, is still of these weights.
        kept_metrics = card.get("metrics", {})
        for title, values in kept_metrics.get("lpips_alex", {}).items():
            entry["lpips_alex"][title] = values | entry["lpips_alex"].get(title, {})
        card = card | {"metrics": kept_metrics | entry}
    contents = _documents(root, args, card, measured, weights, fills, command)
    if not measured:
        contents.pop(root / PAGE)
    exchange(contents)
    _say(f"{weights.short}: done")
    return DONE


def _measured(
    args: argparse.Namespace, root: Path, new: Weights, old: Weights
) -> measuring.Measured:
    references.fetch("lpips_alex", _say)
    manifest = args.manifest or root / "benchmarks/test-photos.toml"
    progress = _Progress()
    found = measuring.measure(new, old, args.data, manifest, args.work, progress)
    for line in found.lines():
        _say(line)
    return found


def _documents(
    root: Path,
    args: argparse.Namespace,
    card: dict[str, Any],
    measured: measuring.Measured | None,
    weights: Weights,
    fills: dict[str, bytes],
    command: str,
) -> dict[Path, bytes | None]:
    """Give everything but the weights: file to content."""
    place = golden.folder(root / GOLDEN, weights)
    contents: dict[Path, bytes | None] = {
        path: None for path in sorted((root / GOLDEN).glob("*/*.png"))
    }
    contents |= {place / name: content for name, content in fills.items()}
    registry = root / REGISTRY
    texts = {
        root / BUNDLED / f"{args.name}.json": json.dumps(card, indent=2) + "\n",
        registry: documents.registry(registry.read_text("utf-8"), card),
        root / PAGE: documents.page(card, measured, place.name, command),
    }
    if measured:
        readme = root / "README.md"
        texts[readme] = documents.readme(readme.read_text("utf-8"), args.name, measured)
    return contents | {path: text.encode() for path, text in texts.items()}


def _check_documents(root: Path, args: argparse.Namespace) -> None:
    """Find out before an hour of work whether registry and table can be written at its end."""
    text = (root / REGISTRY).read_text("utf-8")
    documents.registry(text, {"name": args.name, "sha256": "", "bytes": 0})
    readme = (root / "README.md").read_text("utf-8")
    if not args.skip_table and not (documents.FROM in readme and documents.TO in readme):
        raise ConfigError(f"README.md lacks the marks {documents.FROM} and {documents.TO}")


def _bundled(name: str, root: Path) -> Weights:
    path = root / BUNDLED / f"{name}.onnx"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.onnx")))
        raise WeightsError(f"no bundled weights {name!r}: there are {there}")
    return Weights(name, path)


def _notes(path: Path | None, name: str, root: Path) -> dict[str, Any]:
    usual = root / f"configs/{name}.notes.json"
    if path is None:
        if not usual.is_file():
            return {}
        _say(f"notes for the card: {usual}")
        path = usual
    try:
        notes = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--notes {path}: {error}") from None
    if not isinstance(notes, dict):
        raise ConfigError(f"--notes {path}: it must hold a JSON object")
    return notes


def _kept(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.glob("*.png"))}


def _remind(root: Path, old: str) -> None:
    """Name the pages whose figures are of the weights before."""
    pages = sorted([root / "README.md", *(root / "docs").rglob("*.md")])
    named = [p.relative_to(root) for p in pages if old in p.read_text("utf-8")]
    if named:
        _say(f"still with figures of {old}: {', '.join(map(str, named))}")
    _say("now read the paragraph below the table in README.md, and run the tests")


class _Progress:
    """A line now and then, with the time that is left at the pace since the line before.

    Pictures that are there already pass at once, so the pace of all would promise too much.
    """

    def __init__(self) -> None:
        self.last, self.done = time.monotonic(), 0

    def __call__(self, done: int, total: int, line: str) -> None:
        now = time.monotonic()
        if done < total and now - self.last < EVERY:
            return
        left = (now - self.last) / (done - self.done) * (total - done)
        self.last, self.done = now, done
        minutes, seconds = divmod(round(left), 60)
        _say(f"{done} of {total} pictures ({line}), ETA {minutes}:{seconds:02}")


def _say(line: str) -> None:
    print(f"bundle: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
