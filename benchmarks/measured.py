"""What tables of benchmarks say of what they were measured with."""

from __future__ import annotations

from pathlib import Path

from freefill.pipeline.inpainter import PIPELINE
from freefill.weights import registry


def measured_with(model: str | Path = registry.DEFAULT) -> str:
    """Give the line that stands above a table: the weights by their hash, and the pipeline."""
    return f"Measured with the weights `{registry.find(model).short}` in pipeline {PIPELINE}.\n\n"
