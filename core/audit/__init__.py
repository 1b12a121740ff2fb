"""The sealed trail: what is written, how it is checked, how it is exported."""
