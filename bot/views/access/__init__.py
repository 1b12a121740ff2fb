"""Access that takes effect, as people see it: its state, its buttons, its notices and the list of what is live."""
