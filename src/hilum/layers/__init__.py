"""The parts that networks are built from, in 2D and 3D; they know nothing of the configuration."""
