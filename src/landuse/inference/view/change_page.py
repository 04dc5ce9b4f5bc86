"""The page of a change: its transitions in hectares, and both dates side by side."""

from collections.abc import Iterable
from html import escape

from landuse.inference.change_folder import Change, ChangeFolder, Transition
from landuse.inference.view.frame import framed
from landuse.inference.view.grid import facts, grid
from landuse.inference.view.tables import hectares, interval, items, scrolled, swatch, table

_FIRST = 10  # transitions that are shown at once


def change_page(found: ChangeFolder) -> str:
    """Return the HTML of a change."""
    summary = found.summary
    bands = zip(found.names, zip(found.change, found.scales, strict=True), strict=True)
    planes = {"before": (found.before, 1), "after": (found.after, 1), "transition": (found.transitions, 1)}
    dates = [(summary[side]["date"] or summary[side]["name"])[:10] for side in ("before", "after")]
    return framed(
        "Change of land use",
        found.name,
        " to ".join(dates),
        facts(found),
        _transitions(found) + f'<ul class="cells">{items(_cells(found))}</ul>{_sensitivity(summary)}',
        summary["decisions"],
        maps=[grid(found, {**planes, **dict(bands)}, found.pictures)],
        change={
            "dates": dates,
            "transitions": [
                [part["from"], part["to"], colour]
                for part, colour in zip(summary["transitions"], found.colours, strict=True)
            ],
        },
    )


def _transitions(found: ChangeFolder) -> str:
    """Hectares of each transition, the largest first, and of what stayed as it was."""
    summary = found.summary
    painted = list(zip(summary["transitions"], found.colours, strict=True))
    moved = [(part, colour) for part, colour in painted if part["from"] != part["to"]]
    moved.sort(key=lambda pair: -pair[0]["hectares"])
    changed = [_row(swatch(colour) + escape(f"{part['from']} → {part['to']}"), part) for part, colour in moved]
    stayed = [
        _row(swatch(summary["colours"][part["from"]]) + escape(f"{part['from']}, unchanged"), part)
        for part in summary["transitions"]
        if part["from"] == part["to"]
    ]
    compared = sum(part["compared_hectares"] for part, _ in moved)
    total = ["All changes", interval(summary["changed_hectares"]), f"<small>{hectares(compared)}</small>"]
    unknown = ["Unknown land", hectares(summary["unknown_hectares"]), ""]
    head = ["From → to", "Hectares", "Labels compared"]
    about = "Hectares of each transition, with 95\u00a0% interval"
    content = table(about, head, changed[:_FIRST], [total], stayed, foot=unknown)
    if changed[_FIRST:]:
        others = table("Smaller transitions", head, changed[_FIRST:])
        content += f"<details><summary>{len(changed) - _FIRST} smaller transitions</summary>{others}</details>"
    return scrolled("Hectares of each transition", content)


def _row(name: str, part: Transition) -> list[str]:
    area = interval({"hectares": part["hectares"], "low": part["low"], "high": part["high"]})
    return [name, area, f"<small>{hectares(part['compared_hectares'])}</small>"]


def _cells(found: ChangeFolder) -> Iterable[str]:
    summary = found.summary
    dates = [f"{part['name']} ({part['date'] or 'no date'})" for part in (summary["before"], summary["after"])]
    yield f"{dates[0]} is compared with {dates[1]}."
    yield "Labels compared: what the two maps' labels say side by side. Each error of a map is a change there."
    yield f"{summary['compared_cells']:,} cells have an answer in both dates, {summary['masked_cells']:,} have none."
    yield f"Unknown land: {summary['unknown_cells']:,} cells, unlike the tiles that the model learnt from in a date."
    yield f"The model is unsure of {hectares(summary['unsure_hectares'])} hectares in a date. They are counted."
    shift = summary["shift"]
    if shift is None:
        yield "How far the dates lie apart is not known. Their pictures have too little in common."
    else:
        right, above = (round(shift[side], 1) + 0.0 for side in ("x_metres", "y_metres"))  # + 0.0: no -0.0
        cells = f"{shift['cells']:.2f} of a cell"
        yield f"The second date lies {right:+} m to the right and {above:+} m above the first, {cells}."
    if found.step > 1:
        yield f"The page shows one cell in {found.step:.3g} each way. The numbers above are of all cells."


def _sensitivity(summary: Change) -> str:
    """What would have changed under another correlation of errors than the one that was found."""
    about = "How errors that agree between the dates would move the answer"
    head = ["Correlation of errors", "Changed, hectares"]
    rows = [[f"{part['correlation']:g}", hectares(part["changed_hectares"])] for part in summary["sensitivity"]]
    as_found = [f"{summary['correlation']:g}, as found", f"<b>{hectares(summary['changed_hectares']['hectares'])}</b>"]
    return scrolled(about, table(about, head, rows, [as_found]))
