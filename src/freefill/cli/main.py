"""The application: all commands, and what happens to an error."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from freefill import __version__
from freefill.cli import (
    batch,
    doctor,
    evaluate,
    fill,
    guidance,
    lab,
    offline,
    pack,
    page,
    records,
    references,
    serve,
    shared,
    weights,
)
from freefill.cli.console import (
    BROKEN_PIPE,
    MODE,
    close_streams,
    open_streams,
    print_answer,
    print_error,
)
from freefill.cli.tasks import deriving
from freefill.errors import FreefillError

app = typer.Typer(
    name="freefill",
    cls=shared.Group,
    help="Free-form image inpainting: a photo and a mask in, a filled photo out.\n\n"
    "Start with:  freefill fill PHOTO --mask MASK --out RESULT",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print_answer(f"freefill {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that come before any command."""


app.command()(fill.fill)
app.command()(batch.batch)
app.command()(guidance.edges)
deriving.add(app)
app.add_typer(weights.app, name="weights")
app.command(rich_help_panel="In the browser (needs freefill\\[serve])")(serve.studio)
app.command(rich_help_panel="In the browser (needs freefill\\[serve])")(serve.serve)
app.command()(page.page)
app.command()(doctor.doctor)
app.command()(pack.pack)
app.command()(offline.offline)
app.command(rich_help_panel="Lab (needs freefill\\[lab])")(lab.train)
app.command(rich_help_panel="Lab (needs freefill\\[lab])")(lab.export)
app.command()(references.references)
app.command(rich_help_panel="Lab (needs freefill\\[lab])")(guidance.gates)
app.command(rich_help_panel="Measure (needs freefill\\[lab,baselines])")(evaluate.evaluate)
app.command(rich_help_panel="Measure (needs freefill\\[lab,baselines])")(evaluate.manifest)
app.command(rich_help_panel="Measure (needs freefill\\[lab,baselines])")(evaluate.ablate)


def main() -> None:
    """Run the command line; an error that a person can mend is one line and exit code 2."""
    # NumPy's threads wait for each other at full load. That nearly doubles the processor's time of
    # a fill and makes none faster. Read when NumPy is loaded, which it is not yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What libraries think of a damaged tag is no line that a person can act on.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    open_streams()
    with shared.fresh():
        try:
            _run()
        except (FreefillError, OSError, MemoryError) as error:
            line = _line_of(error)
            print_error(line)
            # What the system lacks it may have again; what freefill refuses stays refused.
            lacks = isinstance(error, MemoryError) or not isinstance(error, FreefillError)
            records.refused(line, again=lacks)
            sys.exit(2)
        finally:
            close_streams()


def _line_of(error: FreefillError | OSError | MemoryError) -> str:
    if isinstance(error, FreefillError):
        return str(error)
    if isinstance(error, OSError):
        # A name that is too long, a disk that is full: the system's own words are the best.
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    # NumPy's and the network's, amid the work; the memory that it took is free again.
    told = "there was not enough memory"
    if MODE.subject is not None:
        told = f"{MODE.subject.photo}: {told}"
    return f"{told} ({error})" if str(error) else told


def _run() -> None:
    try:
        app(prog_name="freefill")
    except SystemExit as stop:
        # What Typer and Rich write themselves, such as help, for a reader that has ended.
        if stop.code == 1 and isinstance(_cause(stop), BrokenPipeError):
            stop.code = BROKEN_PIPE
        raise


def _cause(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error
