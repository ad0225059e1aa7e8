"""Metrics: pure functions of pictures or of their features, one accumulator, and statistics."""
