"""Tiles and their split as later stages read them."""
