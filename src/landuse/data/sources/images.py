"""Names of pictures."""

import unicodedata
from pathlib import PurePosixPath

from landuse.pictures import EXTENSIONS


def stem(path: str) -> str:
    """``<Class>/<stem>`` of a tile's path, or the stem where no folder is named; spelt as ``archive`` spells names.

    The extension of a picture plays no part: one data set is published in several formats.
    """
    file = PurePosixPath(unicodedata.normalize("NFC", path.replace("\\", "/")))
    name = file.stem if file.suffix.lower() in EXTENSIONS else file.name
    return f"{file.parent.name}/{name}" if file.parent.name else name
