"""Everything that needs torch: networks, training, measuring, export."""
