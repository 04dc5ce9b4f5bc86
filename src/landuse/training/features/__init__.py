"""What a frozen trunk makes of tiles, kept on disk over epochs, phases and experiments."""
