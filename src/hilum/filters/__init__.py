"""Filters by a small window that slides over an image, taken by the steps `filter` of preparation and augmentation."""
