"""Helpers that depend on neither Keras nor ELMo."""
