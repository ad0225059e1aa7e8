"""From a folder of photos to WebDataset shards: `freefill pack`."""
