"""What the command line does on the machine of a person: it speaks to the HTTP API, and needs no store and no Slack."""
