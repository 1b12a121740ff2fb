"""MFA for break-glass: TOTP codes, and where people's secrets are kept.

Invariant: a secret is in no log, no error and no `repr`, and in no store of records.
"""
