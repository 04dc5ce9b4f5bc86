"""Contracts between training, evaluation, export and what uses a model: free of torch."""
