"""Metrics and rivals."""
