"""Files: how each format is read and written so that nothing about it is lost."""

MAX_PIXELS = 100_000_000
"""The most that a file's width times its height may be, unless a caller says otherwise."""
