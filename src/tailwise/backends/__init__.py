"""Models by name: the network, boosting, forests and linear models."""
