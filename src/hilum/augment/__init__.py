"""Random changes of the training batches, one kind a file."""
