"""The way from text and labels to the batches of a model."""
