"""The spine: an experiment, its task, its fit, its evaluation."""
