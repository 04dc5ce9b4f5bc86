"""Where tiles, labels and splits come from."""
