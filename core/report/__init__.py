"""The evidence of a period, for an access review: read from the audit trail, counted, and laid out in tables."""
