"""What is public has to be on a page of the reference, and to say what it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import freefill
from freefill import errors, tasks

EXTENDING = (
    "freefill.lab.registries.register_model",
    "freefill.lab.registries.register_discriminator",
    "freefill.lab.registries.register_loss",
    "freefill.masks.presets.register_preset",
    "freefill.pipeline.engines.register_engine",
    "freefill.lab.evaluation.baselines.register_baseline",
    "freefill.lab.evaluation.measures.register_metric",
)


def public() -> list[str]:
    """Name all that callers may rely on."""
    names = [f"freefill.{name}" for name in freefill.__all__ if not name.startswith("__")]
    names += [f"freefill.tasks.{name}" for name in tasks.__all__]
    names += [
        f"freefill.errors.{name}"
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    ]
    # Where the package itself offers an error, one entry is enough.
    offered = {f"freefill.errors.{name}" for name in freefill.__all__}
    return [*(name for name in names if name not in offered), *EXTENDING]


def faults(pages: Path) -> Iterator[str]:
    """Tell what is public and stands on no page, or says nothing of itself.

    Args:
        pages: The folder of the reference.
    """
    entries = set()
    for page in sorted(pages.glob("*.md")):
        entries |= set(re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M))
    for name in public():
        if name not in entries:
            yield f"{name} is public and has no entry below {pages.name}/"
        if not name.startswith("freefill.lab.") and not _says(name):
            yield f"{name} is public and has no docstring"


def _says(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    value = getattr(import_module(module), attribute)
    return bool((value.__doc__ or "").strip())
