"""What operators see: logs without secrets, and metrics without personal data."""
