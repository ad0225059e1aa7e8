"""Holes: reading, drawing and shaping them."""
