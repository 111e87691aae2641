"""A server that samples, behind a URL: what is sent, what came back, what it can."""
