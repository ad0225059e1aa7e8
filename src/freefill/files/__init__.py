"""Files on the local disk: which are meant, where the cache is, and JSON read within limits."""
