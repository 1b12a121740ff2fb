"""The second factor of people who break the glass: codes by TOTP, and where their secrets are kept.

Invariant: a secret is in no log, no error and no `repr`, and in no store of records.
"""
