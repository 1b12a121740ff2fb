"""The listeners for Slack's payloads, grouped by feature: parse, call one service, acknowledge."""
