"""The page and the model card: templates that share their sentences, tables and words.

The page needs nothing else to be read: pictures, style and script stand in the file, and a strict content security
policy allows them by their hashes and forbids everything else. The same inputs give the same bytes.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from landuse import sensors
from landuse.model import backbones
from landuse.report import bands, gallery, tables
from landuse.report import vocabulary as v
from landuse.report.charts import ROWS
from landuse.report.inputs import Explained, Inputs

_TEMPLATES = Path(__file__).parent / "templates"
_FILTERS = ("percent", "level", "span", "share", "with_span", "score", "gain", "count", "listed")
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[_/])")  # where a long name may break


def page(inputs: Inputs, explained: Explained, charts: Mapping[str, Markup]) -> str:
    """Return the page. charts: pictures of it by name."""
    style, script = (Markup((_TEMPLATES / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    return _template("page.html.jinja").render(
        _context(inputs, explained),
        charts=charts,
        galleries=explained.galleries,
        pictures=gallery.encoded(explained.galleries),
        style=style,
        script=script,
    )


def card(inputs: Inputs, explained: Explained) -> str:
    """Return the model card, in Markdown: what a stranger must know before using the exported model."""
    context = _context(inputs, explained)
    text = _template("model_card.md.jinja").render(context, torchvision=backbones.TORCHVISION)
    return text.replace(v.GAP, " ").rstrip() + "\n"


@cache
def _template(name: str) -> Template:
    """Both documents have the same filters; what differs is how code is written, and that HTML is escaped."""
    html = ".html." in name
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {filter_: getattr(v, filter_) for filter_ in _FILTERS}
    environment.filters |= {
        "named": tables.named,
        "breakable": lambda text: Markup("<wbr>").join(_WORDS.split(text)),
        # as a content security policy names an inline style or script
        "hashed": lambda text: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
        "cell": lambda text: text.replace("|", "\\|"),  # of a table in Markdown
        "flat": lambda text: " ".join(text.split()),  # Markdown gives line ends a meaning
        "code": (Markup("<code>{}</code>") if html else "`{}`").format,
    }
    names = ("GAP", "SCORES", "BASELINES", "CLASSICAL")
    environment.globals |= {name: getattr(v, name) for name in names} | {"ROWS": ROWS}
    return environment.get_template(name)


def _context(inputs: Inputs, explained: Explained) -> dict[str, Any]:
    """What the templates know: the stages' files, the tables, and what follows from them."""
    e, names = inputs.evaluate, inputs.spec.classes
    recall = {name: label["recall"] for name, label in e["labels"].items()}
    sections: dict[str, Any] = {name: e.get(name) for name in ("ood", "views", "ensemble", "bands")}  # may be left out
    split: dict[str, Any] = {name: inputs.split.get(name) for name in ("nearest_test_to_train_km", "coordinates_only")}
    return {
        "e": e | sections,
        "split": inputs.split | split,
        "spec": inputs.spec,
        "kind": "model" if inputs.spec.backbone in v.CLASSICAL else "network",
        "fitted": inputs.calibration,
        "data": inputs.data,
        "train": inputs.train,
        "collapse": inputs.collapse,
        "export": inputs.export,
        "names": names,
        "tables": tables.all_of(inputs, explained) | {"bands": bands.table(inputs)},
        "strongest": bands.strongest(inputs),
        "beats_all": all((found["gain"]["low"] or 0) > 0 for found in e["baselines"].values()),  # tile by tile
        "best_baseline": _best_baseline(e),
        "absent": [name for name, of in recall.items() if of["value"] is None],
        "weakest": _weakest(recall, explained.confusion, names),
        "aside": sorted(inputs.tiles.loc[inputs.tiles["target"] < 0, "class"].unique()),
        "has_classes": set(e["classes"]) != set(e["labels"]),
        "embedded": len(explained.embedding),
        "suspected": len(explained.suspects),
        "false_colours": _false_colours(inputs.data),
        "is_rgb": sensors.is_rgb(inputs.spec.bands, inputs.spec.dtype),
    }


def _false_colours(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Which bands the pictures show in false colours; None where there are none of these."""
    shown = sensors.shown_in_turn(data["bands"])
    if shown == [sensors.visible(data["bands"])]:
        return None
    return {"bands": [data["bands"][at] for at in shown[-1]], "beside_true": len(shown) > 1}


def _best_baseline(e: Mapping[str, Any]) -> dict[str, Any] | None:
    if not e["baselines"]:
        return None
    name, best = max(e["baselines"].items(), key=lambda item: item[1]["accuracy"]["value"] or 0)
    gain = f"{100 * (e['accuracy']['value'] - best['accuracy']['value']):+.1f}".replace("-", "\u2212")
    return {"name": tables.named(name), "gain": gain}


def _weakest(recall: Mapping[str, v.Interval], confusion: Any, names: list[str]) -> dict[str, Any] | None:
    """The label that is found least often, and what it is taken for; None where none is missed."""
    known = {name: of for name, of in recall.items() if of["value"] is not None}
    weakest = min(known, key=lambda name: known[name]["value"], default=None)
    if weakest is None or len(known) == 1 or known[weakest]["value"] == 1:
        return None
    row = confusion[names.index(weakest)].copy()
    row[names.index(weakest)] = 0
    taken_for = names[int(np.argmax(row))] if len(names) > 2 and row.any() else ""
    return {"name": weakest, "recall": known[weakest], "taken_for": taken_for}
