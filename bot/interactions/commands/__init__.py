"""What people type after a command of ours, parsed once."""
