"""Guidance: sketches and strokes of colour that tell a fill what to become."""
