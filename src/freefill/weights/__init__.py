"""Weights files, their cards, and where they are."""
