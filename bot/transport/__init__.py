"""The ways by which Slack reaches the bot: HTTP and Socket Mode, and the pages for whoever operates it."""
