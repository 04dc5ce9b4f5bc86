"""The page of a map: hectares of each class, and its cells with their uncertainty."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from landuse.inference.folder import UNKNOWN, MapFolder
from landuse.inference.view.frame import framed
from landuse.inference.view.grid import facts, grid
from landuse.inference.view.tables import hectares, interval, items, percent, scrolled, swatch, table


def map_page(found: MapFolder, sample: Mapping[str, Any] | None = None) -> str:
    """Return the HTML of a map; with a sample, as label.js reads it, of its cells to be labelled."""
    summary = found.summary
    bands = zip(found.names, zip(found.scores, found.scales, strict=True), strict=True)
    return framed(
        "Land use",
        found.name,
        (summary["date"] or "")[:10],
        facts(found),
        scrolled("Hectares of each class", _areas(found)) + f'<ul class="cells">{items(_cells(found))}</ul>',
        summary["decisions"],
        maps=[grid(found, {"class": (found.classes, 1), **dict(bands)}, [found.picture])],
        sample=sample,
    )


def _cells(found: MapFolder) -> Iterable[str]:
    summary = found.summary
    valid = summary["valid_cells"]

    def share(cells: int) -> str:
        return f"{cells:,} cells ({percent(cells / max(valid, 1))})"

    yield f"{valid:,} cells have an answer. {summary['masked_cells']:,} are masked, or without data."
    yield f"Unsure: {share(summary['abstained_cells'])}. The model would rather not answer."
    if summary["strange_cells"] is None:
        yield "Strangers: not known. The model has nothing to compare with."
    else:
        yield f"Strangers: {share(summary['strange_cells'])}. They are unlike the tiles that the model learnt from."
    if summary["area"] is not None:
        if UNKNOWN in summary["area"]:
            yield "Unknown land is unsure, strange, or both. It is in no corrected class."
        yield "The correction holds as far as land of a class looks as it does in the model's test tiles."
    if found.step > 1:
        yield f"The page shows one cell in {found.step:.3g} each way. The numbers above are of all cells."


def _areas(found: MapFolder) -> str:
    """The table of hectares: corrected, where they are known, and counted; unknown land last."""
    summary = found.summary
    corrected, counts = summary["area"], summary["counts"]
    about = "Hectares as counted: what the map shows, the model's errors included"
    head = ["Class", "Counted", "Unsure"]
    if corrected is not None:
        about = "Hectares, corrected for the model's errors (with 95\u00a0% interval), and as counted on the map"
        head.insert(1, "Corrected")
    rows = []
    others = [name for name in corrected or {} if name not in (*summary["classes"], UNKNOWN)]
    for name in [*summary["classes"], *others]:
        cells = [swatch(summary["colours"].get(name, "none")) + escape(name)]
        if corrected is not None:
            cells.append(interval(corrected[name]) if name in corrected else "")
        count = counts.get(name)
        cells.append(f"{hectares(count['hectares'])}<small>{percent(count['share'])}</small>" if count else "")
        cells.append(hectares(count["abstained_hectares"]) if count else "")
        rows.append(cells)
    return table(about, head, rows, foot=_unknown(found))


def _unknown(found: MapFolder) -> list[str]:
    """The row of unknown land. Counted rows have it in them, corrected ones have not."""
    summary = found.summary
    name = "Unknown land"
    if summary["area"] is not None:
        return [name, interval(summary["area"][UNKNOWN]), "", ""] if UNKNOWN in summary["area"] else []
    share = found.unknown.sum() / max(found.valid.sum(), 1)  # of a thinned map, too
    area = share * summary["valid_cells"] * summary["cell_metres"] ** 2 / 10_000
    return [name, f"{hectares(area)}<small>{percent(share)}, in the rows above</small>", ""]
