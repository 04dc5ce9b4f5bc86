"""Comparison of finished DVC experiments: means over seeds, and paired differences on the same test tiles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dvc.exceptions import DvcException
from dvc.repo import Repo
from scmrepo.exceptions import SCMError

from landuse.comparison import experiments, table
from landuse.comparison.groups import Group, group
from landuse.comparison.predictions import Predictions, Reader, Unreadable
from landuse.errors import UserError, did_you_mean
from landuse.files import write_csv
from landuse.paired import Difference, differences, mean_interval


@dataclass(frozen=True)
class _Measured:
    """A group with the predictions of each of its members, all for the same test tiles."""

    group: Group
    predictions: tuple[Predictions, ...]

    @property
    def task(self) -> frozenset[tuple[object, ...]]:
        """Equal for groups that can be compared; one element a fold, unless its seeds had different test tiles."""
        return frozenset((m.fold, *p.task) for m, p in zip(self.group.members, self.predictions, strict=True))

    @property
    def tiles(self) -> int:
        """Test tiles, those of all folds together."""
        of_fold = {m.fold: len(p.truth) for m, p in zip(self.group.members, self.predictions, strict=True)}
        return sum(of_fold.values())


def run(to: str | None = None, csv: Path | None = None, markdown: bool = False) -> str:
    """Return the table of the experiments that start from the current commit; write it to a file too, if one is given.

    to: name of the reference, a group's or one experiment's. The default is the best on the validation tiles: to
    choose on the test tiles would flatter it.

    Raises:
        UserError: no DVC repository, no finished experiment, or none of the name.
    """
    try:
        with Repo() as repo:
            found, left_out = experiments.finished(repo)
            if not found:
                raise UserError(_nothing(left_out))
            groups, repeated = group(found)
            chosen = None if to is None else _named(groups, to)
            measured, apart = _read(groups, Reader(repo))
    except (DvcException, SCMError) as error:
        raise UserError(f"no experiments to read: {error}") from error
    left_out["of the same settings and seed as another"] += repeated
    reference = _reference(measured, chosen, apart)
    rows = [] if reference is None else _compare(measured, reference, apart)
    if csv is not None:
        write_csv(csv, table.frame(rows, apart))
    return table.text(rows, apart, +left_out, _why(reference, to), markdown)


def _nothing(left_out: Mapping[str, int]) -> str:
    others = f" ({table.counted(left_out)})" if left_out else ""
    return f"no finished experiment starts from this commit{others}: make one with 'dvc exp run -S train.freeze=layer3'"


def _named(groups: Sequence[Group], name: str) -> Group:
    """The group of a name, or the one that holds the experiment of that name."""
    known = {member.name: each for each in groups for member in each.members} | {each.name: each for each in groups}
    if name not in known:
        raise UserError(f"--to: no finished experiment {name!r}{did_you_mean(name, known)}")
    return known[name]


def _read(groups: Sequence[Group], reader: Reader) -> tuple[list[_Measured], list[table.Apart]]:
    """Groups with their predictions, and why the others have none."""
    measured, apart = [], []
    for each in groups:
        try:
            predictions = tuple(reader.read(member) for member in each.members)
        except Unreadable as problem:
            apart.append(table.Apart(each, str(problem)))
            continue
        read = _Measured(each, predictions)
        if len(read.task) == max(len(each.folds), 1):
            measured.append(read)
        else:
            apart.append(table.Apart(each, "its seeds were measured on different test tiles"))
    return measured, apart


def _reference(measured: Sequence[_Measured], chosen: Group | None, apart: Sequence[table.Apart]) -> _Measured | None:
    """The chosen group, else the best on validation of those that share the test tiles of most."""
    if chosen is not None:
        for other in apart:
            if other.group is chosen:
                raise UserError(f"--to: {chosen.name!r} cannot be the reference: {other.reason}")
        return next(each for each in measured if each.group is chosen)
    if not measured:
        return None
    commonest = Counter(each.task for each in measured).most_common(1)[0][0]
    alike = [each for each in measured if each.task == commonest]
    validated = [each for each in alike if each.group.values("val_macro_f1")]
    if not validated:
        raise UserError(f"no validation macro-F1 to choose the reference by: name it (--to {alike[0].group.name!r})")
    return max(validated, key=lambda each: each.group.mean("val_macro_f1"))


def _why(reference: _Measured | None, to: str | None) -> str:
    if reference is None or to is not None:
        return "as asked"
    return f"the best on the validation tiles (macro-F1 {100 * reference.group.mean('val_macro_f1'):.2f} %)"


def _compare(measured: Sequence[_Measured], reference: _Measured, apart: list[table.Apart]) -> list[table.Row]:
    """Rows with the differences to the reference; what cannot be compared is added to ``apart``."""
    rows = []
    for each in measured:
        if each.task == reference.task:
            against = None if each is reference else _differences(each, reference)
            rows.append(table.Row(each.group, each.tiles, against))
        else:
            same = each.predictions[0].labels == reference.predictions[0].labels
            folds = "" if each.group.folds == reference.group.folds else ": other folds"
            apart.append(table.Apart(each.group, f"other test tiles{folds}" if same else "other labels"))
    return sorted(rows, key=lambda row: (-row.group.mean("macro_f1"), row.group.name))


def _differences(first: _Measured, second: _Measured) -> dict[str, Difference]:
    """Over the test tiles and seeds; in a cross-validation over the folds."""
    if first.group.folds:
        return {metric: _over_folds(first.group, second.group, metric) for metric in ("accuracy", "macro_f1")}
    common = second.predictions[0]
    ours, theirs = (np.stack([p.predicted for p in each.predictions]) for each in (first, second))
    return differences(common.truth, ours, theirs, len(common.labels))


def _over_folds(first: Group, second: Group, metric: str) -> Difference:
    gaps = np.subtract(first.values(metric), second.values(metric))
    return Difference(float(gaps.mean()), *mean_interval(gaps, first.overlap))
