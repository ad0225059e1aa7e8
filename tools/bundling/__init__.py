"""What `tools/bundle.py` is made of: golden fills, the main table, and the files' exchange."""
