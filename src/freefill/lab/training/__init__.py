"""Settings, loop, checkpoints and previews."""
