"""Hectares of each class from a map: corrected for the model's own errors, or from a sample that people labelled."""

from landuse.inference.area.correction import Area, corrected, corrected_hectares

__all__ = ["Area", "corrected", "corrected_hectares"]
