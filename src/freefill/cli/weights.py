"""``freefill weights``: what is there, and what its card says."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(help="Show the weights that can be used.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the weights with their size, licence and training."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from freefill.weights.registry import DEFAULT, list_weights

    table = Table(box=box.SIMPLE_HEAD)
    for head in ("name", "size", "parameters", "GMAC at 512", "licence", "trained on", "card"):
        table.add_column(head, overflow="fold")
    for weights in list_weights():
        card = weights.card
        training = card["training"]
        table.add_row(
            weights.name + (" (default)" if weights.name == DEFAULT else ""),
            f"{weights.size / 1e6:.1f} MB",
            f"{card['parameters'] / 1e6:.2f} M",
            f"{card['gmac_512']:.1f}",
            card.get("licence", "not stated"),
            f"{training['photos']:,} photos, {training['crops']:,} crops",
            str(weights.card_path),
        )
    Console().print(table)


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="Name from the list, or an .onnx file.")] = "light",
) -> None:
    """Print the card of one weights file: data, licences, steps, hardware, metrics, sha256."""
    from freefill.weights.registry import find

    typer.echo(json.dumps(find(name).card, indent=2))
