"""From folders of photos to batches with holes."""
