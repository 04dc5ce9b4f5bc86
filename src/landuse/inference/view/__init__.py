"""A map or a change as a page: one HTML file, to be opened in a browser."""

from landuse.inference.view.page import write_page

__all__ = ["write_page"]
