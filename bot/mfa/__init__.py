"""MFA for break-glass: TOTP codes, and where people's secrets are stored.

Invariant: no log, error, `repr` or record store ever contains a secret.
"""
