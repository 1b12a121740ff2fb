"""What is true: records, state machines, policies, stores and services. It never imports the bot."""
