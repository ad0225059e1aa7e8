"""The tasks on the command line: one file a verb."""
