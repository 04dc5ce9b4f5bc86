"""What a training keeps under ``.landuse`` to save time: its state, and features of frozen stages."""
