"""From a trained run to the files that the runtime reads."""
