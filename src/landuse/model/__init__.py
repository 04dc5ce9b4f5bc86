"""Backbones, heads, freezing, and the model on disk."""
