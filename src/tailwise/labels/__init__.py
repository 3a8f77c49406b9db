"""What is known about a target from its training labels: bins, densities, shot regions, relevance."""
