"""The report: all that an evaluation found, in one HTML file that needs nothing else to be read.

Charts are SVG, pictures are data URIs, style and script stand in the file and are allowed by their hashes: a strict
content security policy forbids everything else. The same inputs give the same bytes.
"""

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from landuse.report import background, calibration, certainty, performance, pictures, summary
from landuse.report.blocks import Section
from landuse.report.inputs import Inputs

__all__ = ["Inputs", "render"]

_TEMPLATES = Path(__file__).parent / "templates"
_SECTIONS = (  # each returns a Section, or None where there is nothing to say
    performance.accuracy,
    performance.confusion,
    performance.by_label,
    performance.curves,
    calibration.section,
    certainty.abstention,
    certainty.conformal,
    certainty.strangers,
    pictures.galleries,
    pictures.embedding,
    pictures.suspects,
    background.training,
    background.data,
    background.provenance,
)


def render(inputs: Inputs) -> str:
    """Return the page."""
    style, script = (Markup((_TEMPLATES / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    sections: list[Section] = [found for build in _SECTIONS if (found := build(inputs)) is not None]
    return environment.get_template("page.html.jinja").render(
        title=summary.title(inputs),
        facts=summary.facts(inputs),
        simulated=inputs.spec["source"] == "sample",
        paragraphs=summary.paragraphs(inputs),
        headlines=summary.headlines(inputs),
        cautions=summary.cautions(inputs),
        sections=sections,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _breakable(text: str) -> Markup:
    """Let a long name break where its words meet."""
    return Markup("<wbr>").join(re.split(r"(?<=[a-z])(?=[A-Z])|(?<=[_/])", text))


def _hash(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
