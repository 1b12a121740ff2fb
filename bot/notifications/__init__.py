"""How what was decided is told in Slack: cards, threads and direct messages, each once."""
