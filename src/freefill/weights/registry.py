"""The weights that freefill knows, and their cards.

Weights are a file with a card beside it: ``NAME.onnx`` and ``NAME.json``. The bundled ones lie in
the package; any other ONNX file that ``freefill export`` wrote is named by its path.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from freefill.errors import WeightsError

DEFAULT = "light"
BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Weights:
    """One weights file.

    Attributes:
        name: What ``--model`` takes.
        path: The ONNX file.
    """

    name: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes of the ONNX file."""
        return self.path.stat().st_size

    @property
    def card_path(self) -> Path:
        """The card beside the file."""
        return self.path.with_suffix(".json")

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card's content.

        Raises:
            WeightsError: If there is no card, or it is not JSON.
        """
        try:
            card: dict[str, Any] = json.loads(self.card_path.read_text("utf-8"))
        except FileNotFoundError:
            raise WeightsError(f"{self.path} has no card: {self.card_path} is missing") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise WeightsError(f"{self.card_path} is not JSON: {error}") from None
        if not isinstance(card, dict):
            raise WeightsError(f"{self.card_path} holds a {type(card).__name__}, not a card")
        return card

    def check(self) -> None:
        """Compare the file with its card.

        Raises:
            WeightsError: If the sha256 differs.
        """
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        expected = self.card.get("sha256")
        if digest != expected:
            raise WeightsError(
                f"{self.path} is damaged: its sha256 is {digest}, its card says {expected}"
            )


def list_weights() -> list[Weights]:
    """List the bundled weights.

    Examples:
        >>> [weights.name for weights in list_weights()]
        ['light']
    """
    return [Weights(path.stem, path) for path in sorted(BUNDLED.glob("*.onnx"))]


def find(model: str | Path) -> Weights:
    """Find weights by name or path.

    Args:
        model: A bundled name, or the path of an ONNX file.

    Returns:
        The weights.

    Raises:
        WeightsError: If there are none; the message lists the names that exist.
    """
    for weights in list_weights():
        if weights.name == str(model):
            return weights
    path = Path(model)
    if path.suffix == ".onnx":
        if path.is_file():
            return Weights(path.stem, path)
        raise WeightsError(f"{path} does not exist")
    names = ", ".join(weights.name for weights in list_weights())
    raise WeightsError(
        f"no model {str(model)!r}: there are {names}, or give the path of an .onnx file"
    )
