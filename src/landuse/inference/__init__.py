"""Use of an exported model on tiles and on land: NumPy, onnxruntime and rasterio; no torch, no training room."""

from landuse.inference.model import Model, Predictions

__all__ = ["Model", "Predictions"]
