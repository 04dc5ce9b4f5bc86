"""The report: all that an evaluation found, as pictures, one HTML page and a model card."""
