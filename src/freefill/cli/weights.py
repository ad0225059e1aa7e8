"""``freefill weights``: what is there, what can be had, and what its card says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli import foreign
from freefill.cli.console import print_answer, print_notice, print_result, shows_bar

if TYPE_CHECKING:
    from freefill.weights.registry import Entry, Weights

app = typer.Typer(
    help="Weights: show, fetch and remove them.\n\n"
    "They are fetched when 'pull' asks for them and never else. Environment:\n\n"
    "  FREEFILL_CACHE     folder of all caches (default: the system's, e.g. ~/.cache/freefill)\n\n"
    "  FREEFILL_OFFLINE   1 = never open a connection\n\n"
    "  FREEFILL_MIRROR    https://host/path to fetch from: MIRROR/FILE instead of each address\n\n"
    "  FREEFILL_REGISTRY  TOML file with further weights",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """List the weights that are here, then those that can be pulled. Example:

    freefill weights list
    """  # noqa: D415 the help text of a command ends in its example
    from freefill.weights.registry import list_entries, list_weights

    here, entries = list_weights(), {entry.name: entry for entry in list_entries()}
    for weights in here:
        print_answer(_described(weights, entries.get(weights.name)))
    names = {weights.name for weights in here}
    for entry in entries.values():
        if entry.name not in names:
            print_answer(_offered(entry))


def _described(weights: Weights, entry: Entry | None) -> str:
    from freefill.errors import WeightsError
    from freefill.weights.entries import terms_of
    from freefill.weights.registry import DEFAULT

    mark = " (default)" if weights.name == DEFAULT else ""
    first = f"{weights.name}{mark}: {weights.size / 1e6:.1f} MB"
    try:
        card = weights.card
    except WeightsError as error:
        return f"{first}\n  file: {weights.path}\n  {error}"
    # Only freefill's own export writes all of these.
    if "parameters" in card:
        first += f", {card['parameters'] / 1e6:.2f} M parameters"
    if "gmac_512" in card:
        first += f", {card['gmac_512']:.1f} GMAC at 512x512"
    # The card of bundled weights lists the photos themselves.
    photos = card.get("trained_on") or (entry.trained_on if entry else "")
    first += f", {terms_of(card.get('licence'), photos)}"
    lines = [first, f"  architecture: {card.get('architecture', 'not stated')}"]
    training = card.get("training")
    if isinstance(training, dict) and {"photos", "crops"} <= training.keys():
        # Weights may have come about in several runs, each started from the one before.
        crops = sum(part["crops"] for part in [training, *card.get("earlier", [])])
        hardware = f", {training['hardware']}" if "hardware" in training else ""
        lines.append(f"  trained on {training['photos']:,} photos, {crops:,} crops{hardware}")
    return "\n".join([*lines, f"  file: {weights.path}", f"  card: {weights.card_path}"])


def _offered(entry: Entry) -> str:
    from freefill.weights import cache

    partial = cache.partial_of(entry.name)
    begun = f" ({partial.stat().st_size / 1e6:.1f} MB of it here)" if partial.is_file() else ""
    about = f"\n  {entry.about}" if entry.about else ""
    return (
        f"{entry.name}, not here yet: {entry.bytes / 1e6:.1f} MB{begun}, {entry.terms}\n"
        f"  architecture: {entry.architecture}{about}\n"
        f"  to get it: freefill weights pull {entry.name}"
    )


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="Name from the list.", show_default=False)],
) -> None:
    """Fetch weights into the cache; say what their licence is.

    Their sha256 is checked against the registry's. A pull that was stopped goes on where it was.

    Examples:
      freefill weights pull NAME

      FREEFILL_MIRROR=https://example.org/weights freefill weights pull NAME
    """
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from freefill.weights import registry

    entry = registry.find_entry(name)
    if entry.is_bundled:
        print_result(f"{registry.find(name).path}: bundled with freefill, nothing to fetch")
        return
    print_notice(f"{name}: {entry.bytes / 1e6:.1f} MB, {entry.terms}")
    console = Console(stderr=True)
    columns = (
        *Progress.get_default_columns()[:2],
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    start, first, here = time.perf_counter(), -1, 0
    try:
        with Progress(*columns, console=console, disable=not shows_bar(console)) as bar:
            task = bar.add_task(name, total=entry.bytes)

            def tell(done: int, size: int) -> None:
                nonlocal first, here
                first = done if first < 0 else min(first, done)
                here = done
                bar.update(task, completed=done)

            weights = registry.pull(name, tell)
    except KeyboardInterrupt:
        print_notice(
            f"stopped at {here / 1e6:.1f} of {entry.bytes / 1e6:.1f} MB; the same command goes on "
            "from there"
        )
        raise typer.Exit(130) from None
    if first < 0:
        print_result(f"{weights.path}: here already, sha256 as registered")
        return
    elapsed, brought = time.perf_counter() - start, (here - first) / 1e6
    print_result(
        f"{weights.path}: {weights.size / 1e6:.1f} MB, sha256 as registered; {brought:.1f} MB in "
        f"{elapsed:.1f} s, {brought / elapsed:.1f} MB/s"
    )


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of pulled weights.", show_default=False)],
) -> None:
    """Delete weights that were pulled, or what a stopped pull has left. Example:

    freefill weights remove NAME
    """  # noqa: D415 the help text of a command ends in its example
    from freefill.weights import registry

    print_result(f"{name} is removed: {registry.remove(name) / 1e6:.1f} MB freed")


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="Name from the list, or an .onnx file.")] = "light",
) -> None:
    """Print the card of one weights file: data, licences, steps, hardware, metrics, sha256."""
    from freefill.weights.registry import find

    print_answer(json.dumps(find(name).card, indent=2))


app.command("import")(foreign.import_weights)
app.command()(foreign.verify)
