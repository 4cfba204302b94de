"""What a run says while it trains: on the terminal, as JSON lines and in TensorBoard."""
