"""What tables of benchmarks share: what they were measured with, and how sure a mean is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from freefill.lab.evaluation.metrics.statistics import bootstrap_interval
from freefill.pipeline.inpainter import PIPELINE_VERSION
from freefill.weights import registry


def measured_with(model: str | Path = registry.DEFAULT) -> str:
    """Give the line that stands above a table: the weights by their hash, and the pipeline."""
    weights = registry.find(model).short
    return f"Measured with the weights `{weights}` in pipeline {PIPELINE_VERSION}.\n\n"


def interval(values: np.ndarray, digits: int = 3) -> str:
    """Give the mean of values of photos, with its 95 % bootstrap interval in brackets."""
    low, high = bootstrap_interval(values)
    return f"{values.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
