"""``python -m freefill``."""

from freefill.cli import main

if __name__ == "__main__":
    main()
