"""Changes of predicted structures on the image's own grid, such as keeping the largest component."""
