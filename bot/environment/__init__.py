"""What the environment variables can hold: addresses, secrets in files, and URLs."""
