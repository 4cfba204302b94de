"""Deterministic preparation of images and their label maps, one step a file."""
