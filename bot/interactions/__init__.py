"""Where Slack's payloads come in, grouped by feature: acknowledge, parse, one service call."""
