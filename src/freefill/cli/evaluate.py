"""``freefill evaluate``, ``manifest`` and ``ablate``: the commands that measure."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli.console import print_notice, print_result, shows_bar
from freefill.cli.lab import need_lab, report_training
from freefill.cli.options import Plugins
from freefill.errors import ConfigError, DataError, ReferenceMissingError, plural

if TYPE_CHECKING:
    from freefill.lab.evaluation.baselines import Baseline
    from freefill.lab.evaluation.protocol import Manifest

PROTOCOL_HELP = (
    "Comma-separated: free-form, centre, thin, medium, thick, border, ratio-1-10 to ratio-50-60, "
    "'ratios' for all of these, or 'all'."
)


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of photos. Its first subfolders (256/, 512/) get tables of their own.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the report and its pictures.", show_default=False)
    ],
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "free-form,centre",
    fill: Annotated[
        str,
        typer.Option(
            help="Comma-separated: what fills. Bundled weights (light), .onnx files, mean_colour, "
            "telea, ns, biharmonic, patchmatch, migan; freefill-migan is MI-GAN's network in "
            "freefill's pipeline (after 'freefill weights pull migan'). The others are compared "
            "with the first."
        ),
    ] = "light,telea",
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            "--rival",
            help="Any program as a baseline: 'NAME=cmd {image} {mask} {out}', the paths of PNG "
            "files; white = fill; repeatable.",
            show_default=False,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Photos by hash and holes by seed, from 'freefill manifest'. Left out, it is made "
            "of --data and kept in --out.",
            show_default=False,
        ),
    ] = None,
    kid: Annotated[
        bool, typer.Option("--kid/--no-kid", help="Measure KID, too, with an 87 MB network.")
    ] = True,
    plugin: Plugins = None,
) -> None:
    """Measure fills: LPIPS, l1, l2, PSNR, SSIM, seam and KID, with intervals, against baselines.

    Writes report.html and sheet.jpg to look at, report.md, table.csv and pictures.csv to keep.
    Finished pictures stay in --out: a run that was stopped goes on, and a method that is added
    later is all that is computed. Examples:

      freefill evaluate --data photos/ --out report

      freefill evaluate --data photos/ --fill mine.onnx,light,telea --protocol all --out report

      freefill evaluate --data photos/ --baseline 'lama=lama.py {image} {mask} {out}' --out report

    The libraries of the baselines are an extra (baselines). Nothing is fetched: MI-GAN and the
    networks of the metrics are brought once, by 'freefill references lpips_alex inception migan'.
    KID is left out without its network, or with fewer than 3 photos of a size.
    """
    need_lab()
    from freefill import plugins
    from freefill.lab.evaluation import protocol as protocols
    from freefill.lab.evaluation import report, results, runner

    plugins.load(plugin or [])

    names = protocols.expand(_listed(protocol))
    _need("lpips_alex", *(["migan"] if "migan" in _listed(fill) else []))
    baselines = _baselines([*_listed(fill), *(baseline or [])])
    plan = _manifest(manifest, data, out, names)
    kid = kid and _can_measure_kid(plan)
    try:
        with _progress("measuring") as advance:
            made = runner.evaluate(data, plan, names, baselines, out, kid=kid, report=advance)
    except KeyboardInterrupt:
        print_notice(f"stopped; what is finished is in {out}, the same command goes on from there")
        raise typer.Exit(130) from None
    found = results.collect(plan, names, baselines, out, kid)
    command = shlex.join(["freefill", *sys.argv[1:]])
    setting = report.Setting(str(data), command, plan, baselines)
    report.write(found, setting, data, out)
    for table in found.tables:
        values = ", ".join(f"{r.baseline} {r.estimates['lpips'].value:.4f}" for r in table.rows)
        print_result(f"{table.protocol}, {table.size}: LPIPS {values}")
    print_result(f"{out}/report.html: {plural(made, 'picture')} made, the rest were there")


def manifest(
    data: Annotated[Path, typer.Option(help="Folder of photos.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The .toml file.", show_default=False)],
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "all",
    seed: Annotated[int, typer.Option(help="Seed of the holes.", min=0)] = 0,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Group photos in the report: 'PATTERN=NAME', e.g. 'congress_*=portraits'; "
            "repeatable. Else by the file's name up to its last underscore.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fix what is measured on: photos by hash, holes by seed, for 'freefill evaluate --manifest'.

    The same photos and holes then come again. Example:

      freefill manifest --data photos/ --out test.toml
    """
    need_lab()
    from freefill.imaging.atomic import write_atomically
    from freefill.lab.evaluation import protocol as protocols

    sources = {}
    for text in source or []:
        pattern, equals, name = text.partition("=")
        if not (pattern and equals and name):
            raise ConfigError(f"--source {text}: write it as PATTERN=NAME, e.g. 'a_*=flowers'")
        sources[pattern] = name
    with _progress("reading") as advance:
        made = protocols.build(
            data,
            protocols.expand(_listed(protocol)),
            seed,
            sources,
            lambda done, total: advance(done, total, ""),
        )
    write_atomically(out, made.to_toml().encode())
    print_result(
        f"{out}: {plural(len(made.photos), 'photo')}, {plural(len(made.protocols), 'protocol')}"
    )


def ablate(
    data: Annotated[Path, typer.Option(help="Folder of training photos.", show_default=False)],
    test: Annotated[Path, typer.Option(help="Folder of test photos.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of runs and table.", show_default=False)],
    seconds: Annotated[
        float, typer.Option(help="Of each run: of the processor, or of the clock on a GPU.", min=1)
    ] = 480,
    seeds: Annotated[int, typer.Option(help="Runs of each cell.", min=1)] = 2,
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "free-form,centre",
    manifest: Annotated[
        Path | None,
        typer.Option(help="Photos and holes, from 'freefill manifest'.", show_default=False),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting of every cell, e.g. train.lr=1e-4; repeatable.",
            metavar="A.B=C",
        ),
    ] = None,
) -> None:
    """Test the paper's claims again, small: which convolution, which loss, at equal time.

    Trains six small networks from scratch, twice each, and measures them on the test photos:
    plain, partial and gated convolution under l1 + SN-PatchGAN, and for gated also l1 alone, l1 +
    local and global discriminators, l1 + SN-PatchGAN + perceptual. With the defaults it takes an
    hour and a half of one core. A run that was stopped goes on where it was. Example:

      freefill ablate --data photos/ --test test-photos/ --out ablation
    """
    need_lab()
    from freefill.lab.evaluation import ablation, ablation_table, report
    from freefill.lab.evaluation import protocol as protocols

    names = protocols.expand(_listed(protocol))
    _need("lpips_alex", "lpips_vgg")
    # The test photos first: a missing one is not to be found out after hours of training.
    held = _manifest(manifest, test, out / "evaluation", names)
    try:
        plan = ablation.prepare(data, out, seconds, seeds, set_ or [], print_notice)
        weights = ablation.train_cells(data, out, plan, print_notice, report_training)
        with _progress("measuring") as advance:
            baselines = ablation_table.measure(
                weights, test, held, names, out / "evaluation", advance
            )
    except KeyboardInterrupt:
        print_notice(f"stopped; the same command goes on from what is in {out}")
        raise typer.Exit(130) from None
    setting = report.Setting(str(test), shlex.join(["freefill", *sys.argv[1:]]), held, ())
    written = ablation_table.write(
        weights, plan, baselines, setting, test, names, out / "evaluation"
    )
    print_result(f"{written[0]}: done. Look at {written[-1]}")


def _manifest(path: Path | None, data: Path, out: Path, names: Sequence[str]) -> Manifest:
    """Read and check the manifest, or make one in the report's folder."""
    from freefill.imaging.atomic import write_atomically
    from freefill.lab.evaluation import protocol as protocols

    if path is not None:
        plan = protocols.load(path)
        protocols.check(plan, data)
        protocols.check_protocols(plan, names)
        return plan
    own = out / "manifest.toml"
    # The report may lie among the photos.
    written = [out / name for name in ("pictures", "sheet.jpg", "ablation.jpg")]
    if own.exists():
        kept = protocols.load(own)
        try:
            protocols.check(kept, data)
        except DataError as error:
            raise DataError(f"{error}. {own} was made of those: remove it to start anew") from None
        more = len(protocols.files(data, written)) - len(kept.photos)
        if more > 0:
            print_notice(f"photos of {data} not in {own}: {more}; remove it to measure them, too")
        # The report's own manifest grows with what is asked of it.
        plan = protocols.extend(kept, data, names)
    else:
        kept, plan = None, protocols.build(data, names, leave_out=written)
    if plan != kept:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(own, plan.to_toml().encode())
    return plan


def _baselines(specs: Sequence[str]) -> list[Baseline]:
    from freefill.lab.evaluation import baselines
    from freefill.lab.evaluation.runner import TRUTH

    found = [baselines.find(spec) for spec in specs]
    # What the report calls its own pictures, and what would be another folder.
    seen = {TRUTH, "hole", ".", ".."}
    for one in found:
        if one.name in seen:
            raise ConfigError(
                f"two methods are called {one.name!r}, or one takes a name of the report's own: "
                "rename the file, or give the command another name"
            )
        seen.add(one.name)
    if not found:
        raise ConfigError("--fill names nothing that fills: try --fill light,telea")
    return found


def _need(*names: str) -> None:
    """Refuse to begin without networks of others, and say how to get all of them at once.

    Raises:
        ReferenceMissingError: If some are not there.
    """
    from freefill.weights import third_party

    missing = [name for name in names if not _is_here(name)]
    if missing:
        raise ReferenceMissingError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed and not in "
            f"{third_party.folder()}: 'freefill references {' '.join(missing)}' fetches "
            f"{'it' if len(missing) == 1 else 'them'}, once"
        )


def _is_here(name: str) -> bool:
    from freefill.weights import third_party

    return third_party.find(name) is not None


def _can_measure_kid(plan: Manifest) -> bool:
    """Tell whether there are the photos and the network for KID; a line says what is missing."""
    from freefill.lab.evaluation.metrics.kid import FEWEST

    most = max(Counter(photo.size for photo in plan.photos).values(), default=0)
    if most < FEWEST:
        print_notice(f"KID is left out: {plural(most, 'photo')} of a size, {FEWEST} are the least")
        return False
    if not _is_here("inception"):
        print_notice(
            "KID is left out: its network is not here; 'freefill references inception' fetches it "
            "(87 MB), --no-kid leaves this line out"
        )
        return False
    return True


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class _progress:  # noqa: N801
    """A bar on a terminal, a line for every hundredth part elsewhere."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def __enter__(self) -> Callable[[int, int, str], None]:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=not shows_bar(console))
        self.bar.start()
        task = self.bar.add_task(self.verb, total=None)
        shown = ""

        def advance(done: int, total: int, line: str) -> None:
            nonlocal shown
            self.bar.update(task, completed=done, total=total, description=line or self.verb)
            if not console.is_terminal and line != shown:
                print_notice(f"{self.verb} {done} of {total}: {line}")
                shown = line

        return advance

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
