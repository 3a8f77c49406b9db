"""The field's benchmarks: protocols, and results next to the published numbers."""
