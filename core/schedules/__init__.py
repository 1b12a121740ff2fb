"""Who is on call, as other systems say it.

Invariant: a source only reads; nothing here changes a schedule, and nothing here decides.
"""
