"""Ways to put the probabilities of a patient's cases together."""
