"""Preprocessing: text, labels and weights to batches of a task model's inputs."""
