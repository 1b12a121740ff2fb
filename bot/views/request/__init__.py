"""What people see of a request, as pure functions of records."""
