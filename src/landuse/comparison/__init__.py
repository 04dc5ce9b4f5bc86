"""Comparison of finished DVC experiments: means over seeds or folds, and paired differences on the same test tiles."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from landuse.comparison import curve, experiments, pair, pair_report, table
from landuse.comparison.groups import Group, group
from landuse.comparison.measured import Measured, alike, difference_in_task, read
from landuse.comparison.predictions import Reader, Unreadable
from landuse.core.errors import UserError, did_you_mean
from landuse.core.files import write_csv


class Shown(Protocol):
    """A result as text, for a terminal or as Markdown."""

    def __call__(self, *, markdown: bool) -> str: ...


def run(to: str | None = None, csv: Path | None = None) -> Shown:
    """Return the table of the experiments that start from the current commit; write it to a file too, if one is given.

    to: name of the reference, a group's or one experiment's. The default is the best on the validation tiles: to
    choose on the test tiles would flatter it.

    Raises:
        UserError: no DVC repository, no finished experiment, or none of the name.
    """
    with experiments.repository() as repo:
        found, left_out = experiments.finished(repo)
        groups, repeated = group(found)
        chosen = None if to is None else _named(groups, to)
        measured, apart = read(groups, Reader(repo))
    left_out["of the same settings and seed as another"] += repeated
    reference = _reference(measured, chosen, apart)
    rows = [] if reference is None else _compare(measured, reference, apart)
    if csv is not None:
        write_csv(csv, table.frame(rows, apart))
    return partial(table.text, rows, apart, +left_out, _why(reference, to))


def run_pair(first: str, second: str, csv: Path | None = None) -> Shown:
    """Compare two revisions on their test tiles; write the tiles that they predict differently to a file, if given.

    first, second: git revisions, DVC experiments or ``workspace``.

    Raises:
        UserError: a revision is unknown, the same as the other or without a readable result; or their test tiles or
            labels differ.
    """
    with experiments.repository() as repo:
        if experiments.resolve(repo, first) == experiments.resolve(repo, second):
            raise UserError(f"{first!r} and {second!r} are the same revision: name two that differ")
        reader = Reader(repo)
        before, after = (_result(reader, experiments.at(repo, revision)) for revision in (first, second))
    found = pair.compare(before, after)
    if csv is not None:
        write_csv(csv, found.tiles)
    return partial(pair_report.text, found)


def run_curve(by: str, csv: Path | None = None) -> Shown:
    """Draw the results of the experiments over a numeric param: a picture and a table, ``plots/by_<param>``.

    csv: where the table goes instead.

    Raises:
        UserError: no DVC repository, no finished experiment, or none that differ in that param alone.
    """
    from landuse.comparison import curve_plot  # matplotlib takes a second to load

    with experiments.repository() as repo:
        groups, _ = group(experiments.finished(repo)[0])
        measured, apart = read(groups, Reader(repo))
    series, left_out = curve.trace(by, measured)
    picture = Path(f"plots/by_{by}.png")
    numbers = picture.with_suffix(".csv") if csv is None else csv
    curve_plot.write(picture, by, series)
    write_csv(numbers, curve.frame(by, series))
    return partial(curve.text, by, series, left_out + len(apart), f"written: {picture}, {numbers}")


def _result(reader: Reader, experiment: experiments.Experiment) -> pair.Result:
    try:
        return pair.Result(experiment, reader.read(experiment))
    except Unreadable as problem:
        raise UserError(f"{experiment.name!r} cannot be compared: {problem}") from None


def _named(groups: Sequence[Group], name: str) -> Group:
    """The group of a name, or the one that holds the experiment of that name."""
    known = {member.name: each for each in groups for member in each.members} | {each.name: each for each in groups}
    if name not in known:
        raise UserError(f"--to: no finished experiment {name!r}{did_you_mean(name, known)}")
    return known[name]


def _reference(measured: Sequence[Measured], chosen: Group | None, apart: Sequence[table.Apart]) -> Measured | None:
    """The chosen group, else the best on validation of those that share the test tiles of most."""
    if chosen is not None:
        for other in apart:
            if other.group is chosen:
                raise UserError(f"--to: {chosen.name!r} cannot be the reference: {other.reason}")
        return next(each for each in measured if each.group is chosen)
    if not measured:
        return None
    comparable = alike(measured)
    validated = [each for each in comparable if each.group.values("val_macro_f1")]
    if not validated:
        name = comparable[0].group.name
        raise UserError(f"no validation macro-F1 to choose the reference by: name it (--to {name!r})")
    return max(validated, key=lambda each: each.group.mean("val_macro_f1"))


def _why(reference: Measured | None, to: str | None) -> str:
    if reference is None or to is not None:
        return "as asked"
    return f"the best on the validation tiles (macro-F1 {100 * reference.group.mean('val_macro_f1'):.2f} %)"


def _compare(measured: Sequence[Measured], reference: Measured, apart: list[table.Apart]) -> list[table.Row]:
    """Rows with the differences to the reference; what cannot be compared is added to ``apart``."""
    rows = []
    for each in measured:
        if each.task == reference.task:
            rows.append(table.Row(each.group, each.tiles, None if each is reference else each.minus(reference)))
        else:
            apart.append(table.Apart(each.group, difference_in_task(each, reference)))
    return sorted(rows, key=lambda row: (-row.group.mean("macro_f1"), row.group.name))
