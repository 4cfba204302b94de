"""Ways to divide patients into train, val and test: one a file."""
