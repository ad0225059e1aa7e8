"""Millions of photos: from folders, shards and tables, on disk or S3, on one machine or many.

A front end, as the command line and the server are. ``sources`` finds what there is to do and makes
blocks of it, ``worker`` fills a block by the functions that ``freefill fill`` uses, ``manifest``
keeps what is done. A block is begun, done again after a crash, and committed as a whole.
"""
