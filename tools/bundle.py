"""Bundle a run as the weights that come with freefill, in one command.

Exports the run and scores it on the held-out photos. Where the score is lower than that of the
weights that are bundled, it is measured on the test photos, and all that goes with weights is
exchanged: the ONNX file and its card, the registry, the golden fills, the main table.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundling import choosing, documents, golden, measuring, options
from bundling.exchange import exchange
from freefill.errors import ConfigError, FreefillError, WeightsError, those_there
from freefill.lab.evaluation import protocol
from freefill.lab.export.export import export
from freefill.pipeline.inpainter import PIPELINE_VERSION, Inpainter
from freefill.weights import third_party
from freefill.weights.registry import Weights
from scoring.progress import Progress

ROOT = Path(__file__).parents[1]
BUNDLED = Path("src/freefill/weights/bundled")
REGISTRY = Path("src/freefill/weights/registry.toml")
GOLDEN = Path("tests/golden")
PAGE = Path("docs/results/bundled.md")

DONE, WORSE, REFUSED, STOPPED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command.

    Args:
        argv: Its arguments; by default what was typed.
        root: The repository.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    args = options.parser(__doc__ or "").parse_args(given)
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
    held = _held(args, root)
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        out = Path(folder) / f"{args.name}.onnx"
        card = export(args.run, out, notes=notes, on_message=_say)
        new = Weights(args.name, out)
        if new.short == old.short:
            raise ConfigError(f"{args.run} is {old.short}, which is bundled already: use --again")
        photos = documents.photo_list(card["training"]["config"], root)
        figures = None
        if held:
            if photos is None:
                _say("the run names no list of photos: it may have seen the held-out ones")
            choice = _chosen(args, new, old, held)
            if not choice.better:
                if not args.even_if_worse:
                    _say(
                        f"{new.short} is not better than {old.short}, which stays: nothing was "
                        "changed (--even-if-worse bundles it all the same)"
                    )
                    return WORSE
                _say(f"{new.short} is not better than {old.short}, and is bundled all the same")
            figures = documents.Figures(choice, _measured(args, root, new, old))
        card = documents.card(card, args.name, figures, photos)
        _say("golden fills")
        fills = golden.make(root / "examples", Inpainter(out))
        contents = _documents(root, args, card, figures, new, fills, command)
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
    held = _held(args, root)
    _say("golden fills")
    fills = golden.make(root / "examples", Inpainter(weights.path))
    kept = _kept(golden.folder(root / GOLDEN, weights))
    if kept and (lines := golden.differences(kept, {k: v for k, v in fills.items() if k in kept})):
        raise ConfigError(
            f"{weights.short} fills otherwise than before, and PIPELINE_VERSION is still "
            f"{PIPELINE_VERSION} ({lines[0]}): raise it in "
            "src/freefill/pipeline/inpainter.py if that is meant"
        )
    # As they are where they still hold: another processor's roundings are no news.
    fills |= {name: content for name, content in kept.items() if name in fills}
    card, figures = weights.card, None
    if held:
        choice = _chosen(args, weights, weights, held)
        figures = documents.Figures(choice, _measured(args, root, weights, weights))
        entry = figures.entry()
        del entry["before"]
        # What the card has of baselines, and of other measures, is still of these weights.
        kept_metrics = card.get("metrics", {})
        for title, values in kept_metrics.get("lpips_alex", {}).items():
            entry["lpips_alex"][title] = values | entry["lpips_alex"].get(title, {})
        card = card | {"metrics": kept_metrics | entry}
    contents = _documents(root, args, card, figures, weights, fills, command)
    if not figures:
        contents.pop(root / PAGE)
    exchange(contents)
    _say(f"{weights.short}: done")
    return DONE


def _held(args: argparse.Namespace, root: Path) -> choosing.Held | None:
    """Read the held-out photos and check the test photos, before an hour of work."""
    if args.skip_table:
        return None
    held = choosing.Held.read(root, args.held)
    protocol.check(protocol.load(args.manifest or root / options.MANIFEST), args.data)
    third_party.fetch("lpips_alex", _say)
    return held


def _chosen(
    args: argparse.Namespace, new: Weights, old: Weights, held: choosing.Held
) -> choosing.Choice:
    progress = Progress(_say, "held-out photos")
    choice = choosing.choose(new, old, held, args.work / "held", progress)
    _say(choice.line())
    return choice


def _measured(
    args: argparse.Namespace, root: Path, new: Weights, old: Weights
) -> measuring.Measured:
    progress = Progress(_say, "pictures of the test photos")
    manifest = args.manifest or root / options.MANIFEST
    found = measuring.measure(new, old, args.data, manifest, args.work, progress)
    for line in found.lines():
        _say(line)
    return found


def _documents(
    root: Path,
    args: argparse.Namespace,
    card: dict[str, Any],
    figures: documents.Figures | None,
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
        root / PAGE: documents.page(card, figures, place.name, command),
    }
    if figures:
        readme = root / "README.md"
        texts[readme] = documents.readme(readme.read_text("utf-8"), args.name, figures.table)
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
        there = those_there(sorted(p.stem for p in path.parent.glob("*.onnx")))
        raise WeightsError(f"no bundled weights {name!r}: {there}")
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
    _say("now read the lines below the table in docs/explanation/measured.md, draw the README's")
    _say("pictures with `python tools/demo.py`, and run the tests")


def _say(line: str) -> None:
    print(f"bundle: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
