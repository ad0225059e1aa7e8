"""Training where there is no internet: everything it needs in a few files of bounded size."""
