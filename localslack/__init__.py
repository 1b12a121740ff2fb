"""A small faithful Slack on a loopback port, for tests and for the playground: see `server.LocalSlack`."""
