"""What people say to each other about a request: confirmations, questions, and asking again."""
