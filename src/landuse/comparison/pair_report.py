"""The comparison of two results in words and tables, for a terminal or ready to paste into a pull request."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from landuse.comparison.pair import Pair, read
from landuse.comparison.significance import POWER
from landuse.comparison.table import LEVEL, TITLES, Shown, grid, notes, wrapped
from landuse.core.files import write_csv

_TEMPLATES = Environment(loader=PackageLoader("landuse.comparison"), undefined=StrictUndefined, autoescape=False)
_CELL = 36  # characters of a cell in a terminal, before it is wrapped
_CLASSES, _TILES = 12, 20  # rows shown of these tables, in Markdown; a terminal shows half of the tiles


def run(first: str, second: str, csv: Path | None = None) -> Shown:
    """Compare two revisions, see ``pair.read``; write the tiles that they predict differently to a file, if given."""
    found = read(first, second)
    if csv is not None:
        write_csv(csv, found.tiles)
    return partial(text, found)


def text(pair: Pair, *, markdown: bool) -> str:
    """Return the whole report."""
    first, second = pair.first.name, pair.second.name
    title, (short, why) = f"{second} against {first}", verdict(pair)
    told = f"**{short}.** {why}" if markdown else wrapped(f"{short.upper()}. {why}")
    parts = [f"## {title}" if markdown else title, told]
    parts.append(grid(["", first, second, "difference", LEVEL, "verdict"], _metrics(pair), "lrrrrl", markdown, _CELL))
    parts += _changes(pair, markdown)
    if pair.settings:
        cells = [[key, *(value or "-" for value in values)] for key, values in pair.settings.items()]
        parts += [_heading("What differs", markdown), grid(["setting", first, second], cells, "lll", markdown, _CELL)]
    else:
        parts.append("No setting and no code that the results depend on differs.")
    parts.append(notes(_remarks(pair), markdown))
    return "\n\n".join(parts)


def verdict(pair: Pair) -> tuple[str, str]:
    """Return the verdict in a few words, and why in sentences."""
    words = _TEMPLATES.get_template("verdict.txt.jinja").render(
        first=pair.first.name,
        second=pair.second.name,
        tiles=len(pair.first.right),
        same=pair.tiles.empty,
        test=pair.test,
        verdicts=pair.verdicts,
        detectable=pair.detectable,
        power=POWER,
        count="{:,}".format,
    )
    short, *why = words.strip().splitlines()
    return short, " ".join(why)


def _metrics(pair: Pair) -> list[list[str]]:
    rows = []
    for metric, title in TITLES.items():
        scale, form = (1, ".4f") if metric == "nll" else (100, ".2f")
        found = pair.differences[metric]
        values = [f"{scale * side.metrics[metric]:{form}}" for side in (pair.first, pair.second)]
        ends = f"{scale * found.low:+{form}} to {scale * found.high:+{form}}"
        interval = ends if np.isfinite([found.low, found.high]).all() else "too few tiles"
        rows.append([title, *values, f"{scale * found.value:+{form}}", interval, pair.verdicts[metric]])
    return rows


def _changes(pair: Pair, markdown: bool) -> list[str]:
    """Fixed and broken tiles: by class, then one by one."""
    if pair.tiles.empty:
        return []
    count = pair.tiles["change"].value_counts()
    other = f", {count['other mistake']:,} wrong in another way" if count["other mistake"] else ""
    summary = f"Changed tiles: {count['fixed']:,} fixed, {count['broken']:,} broken{other}"
    by_class = pd.crosstab(pair.tiles["class"], pair.tiles["change"]).reindex(columns=["fixed", "broken"], fill_value=0)
    all_tiles = pair.second.tiles["class"].value_counts()
    by_class["net"] = by_class["fixed"] - by_class["broken"]
    order = np.lexsort((by_class.index, -(by_class["fixed"] + by_class["broken"])))
    shown = by_class.iloc[order[:_CLASSES]]
    cells = [
        [str(name), f"{all_tiles[name]:,}", *map(str, row[:2]), f"{row[2]:+d}"]
        for name, row in zip(shown.index, shown.to_numpy(), strict=True)
    ]
    parts = [
        _heading(summary, markdown),
        grid(["class", "test tiles", "fixed", "broken", "net"], cells, "lrrrr", markdown, _CELL),
    ]
    if len(by_class) > _CLASSES:
        parts.append(f"{len(by_class) - _CLASSES} more classes changed less.")
    return [*parts, *_single_tiles(pair, markdown)]


def _single_tiles(pair: Pair, markdown: bool) -> list[str]:
    most = _TILES if markdown else _TILES // 2
    chosen = [pair.tiles[pair.tiles["change"] == change].head(most // 2) for change in ("broken", "fixed")]
    cells = [
        [t["change"], t["file"], t["truth"], *(f"{t[of]} {t[f'{of}_probability']:.0%}" for of in ("first", "second"))]
        for t in pd.concat(chosen).to_dict("records")
    ]
    if not cells:
        return []
    heads = ["", "file", "truth", pair.first.name, pair.second.name]
    table = grid(heads, cells, "lllll", markdown, _CELL)
    about = f"{len(cells)} of {len(pair.tiles):,} changed tiles, where {pair.second.name} is surest (--csv writes all)"
    if markdown:
        return [f"<details><summary>{about}</summary>\n\n{table}\n\n</details>"]
    return [about, table]


def _remarks(pair: Pair) -> list[str]:
    first, second, tiles = pair.first.name, pair.second.name, len(pair.first.right)
    remarks = [
        f"difference: {second} minus {first}, in points (NLL in nats: lower is better), on the same {tiles:,} test "
        "tiles; intervals by paired bootstrap over the tiles",
        "verdict: in accuracy by McNemar's exact test, else by whether the interval holds zero; of 20 changes that do "
        "nothing, one is called better or worse in each line",
    ]
    if list(pair.settings) == ["train.seed"]:
        return [*remarks, "only the seed differs: this is how far two trainings of the same settings lie apart"]
    return [*remarks, "one training of each: another seed moves both; before a small difference counts, repeat with "
            "-S train.seed=1,2,3 and run landuse compare"]  # fmt: skip


def _heading(words: str, markdown: bool) -> str:
    return f"### {words}" if markdown else words
