"""Prediction: one network or several, each looking at a tile from one side or from eight. Torch ends here."""
