"""Metrics: a pure function and a thin accumulator each."""
