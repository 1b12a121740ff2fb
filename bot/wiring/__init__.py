"""The composition root: `serve`, `sweep`, the playground, benchmarks and tests all build the bot here."""
