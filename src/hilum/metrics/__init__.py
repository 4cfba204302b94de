"""The scores, one a file: how it is computed, and the configuration that selects it."""
