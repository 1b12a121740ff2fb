"""From records to Block Kit: pure functions, and beside each form the function that reads it back."""
