"""Which tile is for training, which for validation, which for the test."""
