"""The architectures, one a file: its module with flat parameters, and the configuration that builds it."""
