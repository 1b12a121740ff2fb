"""Block Kit views of records: pure functions, and next to each form, the function that parses its submission."""
