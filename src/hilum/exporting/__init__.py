"""A trained network for use without hilum: as ONNX with a runner of its own, or as a bundle for MONAI."""
