"""What was committed and still has to be delivered, and how it is delivered."""
