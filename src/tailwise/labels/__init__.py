"""Properties of a target learnt from its training labels: bins, densities, shot regions, relevance."""
