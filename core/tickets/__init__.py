"""Tickets: what a request can be made for, and whether its system says that it is open. Imports nothing by itself."""
