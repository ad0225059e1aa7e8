"""What tables of benchmarks say of what they were measured with."""

from __future__ import annotations

from pathlib import Path

from freefill.pipeline.inpainter import PIPELINE_VERSION
from freefill.weights import registry


def measured_with(model: str | Path = registry.DEFAULT) -> str:
    """Give the line that stands above a table: the weights by their hash, and the pipeline."""
    weights = registry.find(model).short
    return f"Measured with the weights `{weights}` in pipeline {PIPELINE_VERSION}.\n\n"
