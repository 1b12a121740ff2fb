"""Slack itself: its client, its errors, its people, and what our app is there."""
