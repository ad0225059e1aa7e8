"""Classical image analysis: alignment, edges, horizon, seams, segmentation, overlays."""
