"""From a trained network and one image to labels or probabilities on the image's own grid."""
