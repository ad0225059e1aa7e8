"""Engines: what computes a network. Only ONNX Runtime is needed to fill."""
