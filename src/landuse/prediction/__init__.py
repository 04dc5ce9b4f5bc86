"""Prediction: one network or several, each looking at a tile from one side or from eight, as one answer."""

from pathlib import Path

CALIBRATION = Path("models/calibration.json")  # what evaluation finds out about the answers, for the export
