"""The report of a period: one HTML page with its charts, and its tables as CSV."""
