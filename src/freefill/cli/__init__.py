"""The command line: each command parses, calls one function, and prints.

Exit codes: 0 done; 1 some of many photos failed; 2 refused (bad input, bad option); 130 stopped by
Ctrl-C; 141 whoever read standard output has ended.
"""

from freefill.cli.main import main

__all__ = ["main"]
