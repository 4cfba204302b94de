"""The optimization loop, its checkpoints, and how it is stopped."""
