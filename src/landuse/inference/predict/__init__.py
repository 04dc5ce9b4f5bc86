"""The command ``landuse predict``: files in, a table of answers out."""
