"""Evaluation: numbers about what a model answers."""
