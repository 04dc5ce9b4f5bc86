"""The frozen prefix of a network: what it makes of tiles, kept on disk over epochs, phases and experiments."""
