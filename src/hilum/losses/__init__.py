"""What training makes small, one loss a file: its module with flat parameters, and the configuration that builds it."""
