"""The commands of the `countersign` command line, one module per command group."""
