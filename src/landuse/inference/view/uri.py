"""Binary content inside a page."""

import base64
import io

from PIL import Image

_QUALITY = 80  # of WebP, 0 to 100


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_uri(picture: Image.Image) -> str:
    """A picture as WebP, in the place of an address."""
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64_of(memory.getvalue())}"
