"""Building blocks of the networks (torch)."""
