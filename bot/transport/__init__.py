"""How Slack reaches the bot: the HTTP and Socket Mode transports, and the health pages for operators."""
