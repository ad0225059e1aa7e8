"""``freefill weights``: what is there, and what its card says."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(help="Show the weights that can be used.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the weights with their size, licence and training."""
    from freefill.weights.registry import DEFAULT, list_weights

    for weights in list_weights():
        card = weights.card
        training = card["training"]
        # Weights may have come about in several runs, each started from the one before.
        crops = sum(part["crops"] for part in [training, *card.get("earlier", [])])
        typer.echo(
            f"{weights.name}{' (default)' if weights.name == DEFAULT else ''}: "
            f"{weights.size / 1e6:.1f} MB, {card['parameters'] / 1e6:.2f} M parameters, "
            f"{card['gmac_512']:.1f} GMAC at 512x512, licence {card.get('licence', 'not stated')}\n"
            f"  trained on {training['photos']:,} photos, {crops:,} crops, "
            f"{training['hardware']}\n"
            f"  card: {weights.card_path}"
        )


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="Name from the list, or an .onnx file.")] = "light",
) -> None:
    """Print the card of one weights file: data, licences, steps, hardware, metrics, sha256."""
    from freefill.weights.registry import find

    typer.echo(json.dumps(find(name).card, indent=2))
