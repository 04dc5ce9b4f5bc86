"""Decoding pictures of any common format to 8-bit RGB, refusing what would be changed in silence.

For the tiles that a model learns from and for those that it answers: the same picture gives the same pixels.
"""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
_LARGEST = 1 << 26  # pixels: more is a decompression bomb, or no tile
_SMALLEST = 8  # pixels on the shorter side: less shows no land use
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes, of BigTIFF too
_BITS_PER_SAMPLE = 258  # TIFF tag
_AS_RGB = {"RGB", "L", "1", "P", "YCbCr"}  # converted without a loss
_WITH_ALPHA = {"RGBA", "LA", "PA"}


class BadTile(Exception):
    """This one tile cannot be used; the message is the reason, as ``quarantine.csv`` lists it."""


def decode(data: bytes) -> Image.Image:
    """Return a picture as 8-bit RGB, upright by its EXIF orientation, in its own size.

    Greyscale, palette and opaque alpha are converted. Refused is what cannot be converted without
    guessing: more than 8 bits, CMYK, transparent pixels, more than one frame.

    Raises:
        BadTile: the picture is broken, or of a kind that is refused; says what to do.
    """
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            _refuse_strange(image, data)
            image.load()
            opaque = _opaque(image)
            ImageOps.exif_transpose(opaque, in_place=True)
            return opaque if opaque.mode == "RGB" else opaque.convert("RGB")  # the same mode, too, would be copied
    except UnidentifiedImageError:
        if data.startswith(_TIFF):
            raise BadTile(
                "broken, or a TIFF of other bands than a picture's: save it as 8-bit RGB, name "
                "its bands in data.bands, or use -S data.source=eurosat_ms for EuroSAT's"
            ) from None
        raise BadTile("broken, or not an image: its first bytes fit no known format") from None
    except Image.DecompressionBombError:
        raise BadTile(f"more than {_LARGEST:,} pixels: cut it into tiles first") from None
    except _PILLOW_ERRORS as error:
        raise BadTile(f"broken image: {str(error) or type(error).__name__}") from None


# what Pillow's readers raise for files that break off or contradict themselves
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error, zlib.error)


def square(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """Resize the shorter side to ``size`` (bicubic, antialiased) and cut out the centre.

    Returns:
        (size, size, 3) uint8. A picture of that very size is returned pixel by pixel.
    """
    width, height = image.size
    if image.size != (size, size):
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        # one step instead of two: a long narrow picture never becomes a large one
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.asarray(image)


def _refuse_strange(image: Any, data: bytes) -> None:
    width, height = image.size
    if width * height > _LARGEST:
        raise BadTile(f"{width} x {height} pixels: cut it into tiles first")
    if min(width, height) < _SMALLEST:
        raise BadTile(f"{width} x {height} pixels: too small, {_SMALLEST} at least")
    if _bits(image, data) > 8 or image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BadTile(
            "more than 8 bits a value: choose how to scale it and save it as 8-bit RGB "
            "(gdal_translate -ot Byte -scale LOW HIGH 1 255)"
        )
    if image.mode not in _AS_RGB | _WITH_ALPHA:
        raise BadTile(f"{image.mode} colours: save it as 8-bit RGB")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # MPO: cameras append a preview
        raise BadTile(f"{image.n_frames} frames or pages: save one of them as an image of its own")


def _bits(image: Any, data: bytes) -> int:
    """Bits a sample; Pillow reduces 16-bit colour PNG and TIFF to 8 without a word."""
    if image.format == "PNG":
        return data[24]  # PNG specification 11.2.2: the IHDR chunk
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    return 8


def _opaque(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing; what lies under transparent pixels is no data."""
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise BadTile("transparent pixels: no data is not land; fill them or leave the tile out")
    return image
