"""A finished model for other programs: answers to requests, a server, and an exported network."""
