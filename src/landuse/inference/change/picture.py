"""change.png for a slide: where the land changed, over a grey picture of the later date."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from landuse.inference.change.answers import Floats
from landuse.inference.change.pair import Pair
from landuse.inference.sheet import INK, Canvas, Entry, write_sheet
from landuse.palette import rgb

_MOST = 8  # transitions in the legend
_STRIPE = 4  # pixels of a stripe over unknown land, of every third


def write_picture(path: Path, pair: Pair, transitions: Floats, table: dict[str, Any]) -> None:
    """Draw a sheet. transitions: (known cells, K, K) probability of each."""
    before, after = (table[which]["date"] for which in ("before", "after"))
    notes = [f"cells of {table['cell_metres']:g} m, {table['crs']}", "in brackets: 95 % interval"]
    if before and after:
        notes.insert(0, f"{before[:10]} to {after[:10]}")
    metres = table["shape"][1] * table["cell_metres"]
    write_sheet(path, _land(pair, transitions, table), "Change of land use", _legend(table), notes, metres)


def _legend(table: dict[str, Any]) -> list[Entry]:
    changes = [row for row in table["transitions"] if row["from"] != row["to"]]
    entries = [
        Entry([rgb(table["colours"][row["to"]])], f"{row['from']} to {row['to']}", _hectares(row))
        for row in sorted(changes, key=lambda row: -float(row["hectares"]))[:_MOST]
    ]
    entries.append(Entry([(200, 200, 200)], "no change", "of the known land"))
    if table["unknown_cells"]:
        stripes = [INK, (255, 255, 255), (255, 255, 255)] * 4
        entries.append(Entry(stripes, "unknown (striped)", f"{table['unknown_hectares']:,.0f} ha"))
    if table["masked_cells"]:
        entries.append(Entry([(255, 255, 255)], "no answer", "no data, or masked"))
    return entries


def _hectares(row: dict[str, Any]) -> str:
    return f"{row['hectares']:,.0f} ha ({row['low']:,.0f} to {row['high']:,.0f})"


def _land(pair: Pair, transitions: Floats, table: dict[str, Any]) -> Image.Image:
    """Grey, in the colour of what it became as far as it changed, striped where that is not known."""
    canvas = Canvas.over(pair.known.shape, pair.after.picture)
    colours = np.array([rgb(table["colours"][name]) for name in table["classes"]], dtype=np.float32)
    became = transitions.copy()
    became[:, np.arange(len(colours)), np.arange(len(colours))] = 0
    paint = np.zeros((*pair.known.shape, 4), dtype=np.float32)
    paint[pair.known, :3] = became.sum(axis=1) @ colours
    paint[pair.known, 3] = became.sum(axis=(1, 2))
    cells = paint[canvas.cell]
    grey = 0.55 * canvas.grey + 90
    painted = cells[..., :3] * (0.72 + 0.4 * canvas.grey / 255) + grey * (1 - cells[..., 3:])
    stripes = np.add.outer(*map(np.arange, painted.shape[:2])) // _STRIPE % 3 == 0
    painted[pair.strange[canvas.cell] & stripes] = INK
    return canvas.image(np.where(pair.common[canvas.cell][..., None], painted, 0.3 * grey + 178))
