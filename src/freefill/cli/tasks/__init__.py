"""The tasks on the command line: :mod:`~freefill.cli.tasks.deriving` makes their commands.

A file for each that takes more than a photo and its options.
"""
