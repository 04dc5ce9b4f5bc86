"""Comparison of finished DVC experiments: settings side by side (``ranking``), two results (``pair``), ``curve``."""
