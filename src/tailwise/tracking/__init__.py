"""Runs in the stores of MLflow, Weights & Biases and TensorBoard, through their own clients, without a network."""
