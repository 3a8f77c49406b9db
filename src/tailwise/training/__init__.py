"""The loop, and what it needs: recipe, checkpoints, seeds."""
