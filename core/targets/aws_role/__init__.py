"""A role in AWS that people get short-lived credentials for: issued, bounded to the second, and denied early."""
