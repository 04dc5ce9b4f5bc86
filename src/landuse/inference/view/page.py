"""The page itself: text and tables that stand without a script, and the data that the script draws.

It needs nothing else to be read: library, style, script, cells and picture stand in the file, and a content security
policy forbids every request but those for a base map. The same map gives the same bytes.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from landuse.core.errors import UserError
from landuse.core.files import write_text
from landuse.inference.folder import MapFolder, Summary
from landuse.inference.view import mercator
from landuse.inference.view.uri import base64_of, data_uri

_HERE = Path(__file__).parent
LONGEST = 2048  # cells a side that a page can show: a browser holds all of them in memory


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a folder that `landuse map` made, and return its path; None: index.html in the folder.

    Raises:
        UserError: the folder holds no whole map, or out is no name of a page.
    """
    out = page_path(out or folder / "index.html")
    write_text(out, page(MapFolder.read(folder, LONGEST)))
    return out


def page_path(out: Path) -> Path:
    """Return the path of a page to write; raises UserError where it is a folder, or named like other files."""
    if out.suffix.lower() not in (".html", ".htm") or out.is_dir():
        raise UserError(f"{out} is no name for a page: give a file that ends in .html")
    return out


def page(found: MapFolder, sample: Mapping[str, Any] | None = None) -> str:
    """Return the HTML of a map; with a sample, as label.js reads it, of its cells to be labelled."""
    summary = found.summary
    style = _text("leaflet/leaflet.css") + _text("templates/view.css")
    leaflet = _text("leaflet/leaflet.js")
    script = "".join(_text(f"templates/{name}.js") for name in ("cells", "label", "view"))
    date = f", {summary['date']}" if summary["date"] else ""
    return Template(_text("templates/view.html")).substitute(
        title=escape(f"Land use: {found.name}{date}"),
        heading=escape(found.name),
        facts=_items(_facts(found)),
        areas=_areas(summary),
        cells=_items(_cells(found)),
        decisions=_items(summary["decisions"]),
        style=style,
        style_hash=_hashed(style),
        leaflet=leaflet,
        leaflet_hash=_hashed(leaflet),
        script=script,
        script_hash=_hashed(script),
        data=_json({"maps": [_data(found)], "sample": sample}),
    )


def _facts(found: MapFolder) -> Iterable[str]:
    summary = found.summary
    if summary["date"]:
        yield summary["date"]
    rows, columns = summary["shape"]
    yield f"{rows:,} × {columns:,} cells of {summary['cell_metres']:g} m"
    yield found.crs.to_string() if found.crs.to_epsg() else "projection of its own"
    yield f"{summary['model']['backbone']}, model {summary['model']['identity'][:8]}"


def _cells(found: MapFolder) -> Iterable[str]:
    summary = found.summary
    valid = summary["valid_cells"]

    def share(cells: int) -> str:
        return f"{cells:,} cells ({_percent(cells / max(valid, 1))})"

    yield f"{valid:,} cells have an answer. {summary['masked_cells']:,} are masked, or without data."
    yield f"Unsure: {share(summary['abstained_cells'])}. The model would rather not answer."
    if summary["strange_cells"] is None:
        yield "Strangers: not known. The model has nothing to compare with."
    else:
        yield f"Strangers: {share(summary['strange_cells'])}. They are unlike the tiles that the model learnt from."
    if summary["area"] is not None:
        yield "The correction leaves out strangers."
        yield "It holds as far as land of a class looks as it does in the model's test tiles."
    if found.step > 1:
        yield f"The page shows one cell in {found.step:.3g} each way. The numbers above are of all cells."


def _areas(summary: Summary) -> str:
    """The table of hectares: corrected, where they are known, and counted."""
    corrected, counts = summary["area"], summary["counts"]
    about = "Hectares as counted: what the map shows, the model's errors included"
    columns = ["Class", "Counted", "Unsure"]
    if corrected is not None:
        about = "Hectares, corrected for the model's errors (with 95\u00a0% interval), and as counted on the map"
        columns.insert(1, "Corrected")
    rows = [columns]
    for name in [*summary["classes"], *(name for name in corrected or {} if name not in summary["classes"])]:
        cells = [_swatch(summary["colours"].get(name, "none")) + escape(name)]
        if corrected is not None:
            area = corrected.get(name)
            span = area and f"{_hectares(area['low'])} to {_hectares(area['high'])}"
            cells.append(f"<b>{_hectares(area['hectares'])}</b><small>{span}</small>" if area else "")
        count = counts.get(name)
        cells.append(f"{_hectares(count['hectares'])}<small>{_percent(count['share'])}</small>" if count else "")
        cells.append(_hectares(count["abstained_hectares"]) if count else "")
        rows.append(cells)
    head, *body = (_row(row, scope) for row, scope in zip(rows, ["col", *["row"] * len(rows)], strict=False))
    return f"<table><caption>{about}</caption><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def _row(cells: list[str], scope: str) -> str:
    """A row of a table; all cells of the head are heads, and the first of each other row."""
    heads = len(cells) if scope == "col" else 1
    marked = [f'<th scope="{scope}">{cell}</th>' for cell in cells[:heads]]
    return f"<tr>{''.join(marked + [f'<td>{cell}</td>' for cell in cells[heads:]])}</tr>"


def _swatch(colour: str) -> str:
    square = f'<rect width="1" height="1" fill="{colour}"/>'
    return f'<svg class="swatch" aria-hidden="true" viewBox="0 0 1 1">{square}</svg>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def _hectares(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def _json(content: Any) -> str:
    """For an element script: a class may be called </script>."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _data(found: MapFolder) -> dict[str, Any]:
    """What the script reads of a map."""
    summary, shape = found.summary, found.classes.shape
    placed = mercator.place(found.transform, found.crs, shape)
    below = mercator.picture(found.picture, found.transform, found.crs, shape, placed)
    planes = np.concatenate([found.classes[np.newaxis], found.scores])
    return {
        "name": found.name,
        "classes": summary["classes"],
        "colours": [summary["colours"][name] for name in summary["classes"]],
        "shape": shape,
        "whole": summary["shape"],
        "transform": found.transform[:6],
        "crs": found.crs.to_string() if found.crs.to_epsg() else "",
        "box": placed.box,
        "toGrid": base64_of(placed.to_grid.astype("<f4").tobytes()),
        "toBox": base64_of(placed.to_box.astype("<f4").tobytes()),
        "bands": ["class", *found.names],
        "scales": [1, *found.scales],
        "values": base64_of(zlib.compress(planes.tobytes())),
        "picture": data_uri(below),
    }


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hashed(text: str) -> str:
    """As a content security policy names what it allows."""
    return f"sha256-{base64_of(hashlib.sha256(text.encode()).digest())}"
