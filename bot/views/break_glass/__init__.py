"""What people see of a break-glass event, as pure functions of records."""
