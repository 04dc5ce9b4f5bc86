"""A folder as a page, by what made it."""

from pathlib import Path

from landuse.core.errors import UserError
from landuse.core.files import write_text
from landuse.inference.change_folder import ChangeFolder
from landuse.inference.folder import MapFolder
from landuse.inference.view.change_page import change_page
from landuse.inference.view.map_page import map_page

LONGEST = 2048  # cells a side that a page can show: a browser holds all of them in memory


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a folder that `landuse map` or `landuse change` made, and return its path.

    out: the file; None: index.html in the folder.

    Raises:
        UserError: the folder holds no whole map or change, or out is no name of a page.
    """
    out = page_path(out or folder / "index.html")
    if (folder / "change.json").exists():
        text = change_page(ChangeFolder.read(folder, LONGEST))
    else:
        text = map_page(MapFolder.read(folder, LONGEST))
    write_text(out, text)
    return out


def page_path(out: Path) -> Path:
    """Return the path of a page to write; raises UserError where it is a folder, or named like other files."""
    if out.suffix.lower() not in (".html", ".htm") or out.is_dir():
        raise UserError(f"{out} is no name for a page: give a file that ends in .html")
    return out
