"""The frame of a page: everything that it needs stands in the one file.

Library, style, script, cells and pictures are inside, and a content security policy forbids every request but those for
a base map. The same content gives the same bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from landuse.inference.view.tables import items
from landuse.inference.view.uri import base64_of

_HERE = Path(__file__).parent
_SCRIPTS = ("cells", "page", "map", "label", "swipe", "change", "start")


def framed(
    kind: str, heading: str, dates: str, facts: Iterable[str], tables: str, decisions: Iterable[str], **data: Any
) -> str:
    """Return the HTML of a page.

    kind: of the folder, in words. tables: HTML. decisions: how it came about. data: what the script reads.
    """
    style = _text("leaflet/leaflet.css") + _text("templates/view.css")
    leaflet = _text("leaflet/leaflet.js")
    script = "".join(_text(f"templates/{name}.js") for name in _SCRIPTS)
    return Template(_text("templates/view.html")).substitute(
        title=escape(": ".join([kind, ", ".join(filter(None, [heading, dates]))])),
        kind=escape(kind),
        heading=escape(heading),
        facts=items([dates, *facts] if dates else facts),
        tables=tables,
        decisions=items(decisions),
        style=style,
        style_hash=_hashed(style),
        leaflet=leaflet,
        leaflet_hash=_hashed(leaflet),
        script=script,
        script_hash=_hashed(script),
        data=_json(data),
    )


def _json(content: Mapping[str, Any]) -> str:
    """For an element script: a class may be called </script>."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    """As a content security policy names what it allows."""
    return f"sha256-{base64_of(hashlib.sha256(text.encode()).digest())}"
