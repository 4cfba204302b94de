"""Surfaces and distances of binary structures: what losses, metrics, preparation and post-processing share."""
