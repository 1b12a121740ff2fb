"""The face: Slack, the command line, settings. It decides nothing that `core/` could decide."""
