"""Slack's side: the Web API client, errors, the directory of people, and our app's manifest."""
