"""Paired terminals and machines, as people see them."""
