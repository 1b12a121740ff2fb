"""The HTTP API for terminals and machines."""
