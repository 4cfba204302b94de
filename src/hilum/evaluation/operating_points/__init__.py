"""Ways to choose the threshold of a decision on the validation patients."""
