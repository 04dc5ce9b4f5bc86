"""The ``landuse`` command."""

from landuse.cli.main import main

__all__ = ["main"]
