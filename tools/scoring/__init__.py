"""The parts of `tools/score.py`: photos, networks, measuring, comparing, tables and sheets."""
