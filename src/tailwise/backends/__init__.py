"""Models by name behind one protocol: the network, boosting, forests and linear models."""
