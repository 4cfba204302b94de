"""What can be asked of a network: one task a file."""
