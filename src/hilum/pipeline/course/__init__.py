"""The course: one idea a rung, from a line to a U-Net, each trained, measured and drawn by `hilum course`."""
