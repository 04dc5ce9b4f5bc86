"""The labels of a table of params.yaml from a network that learnt finer ones: probabilities of each label are added.

    dvc exp run -S mapping.preset=all_classes evaluate
    python benchmarks/coarser.py city_farmland

Printed are the accuracies on validation and test tiles of the labels in the table, with Wilson's 95 % intervals.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.special import softmax

from landuse import params
from landuse.core.errors import UserError, user_errors
from landuse.core.intervals import wilson
from landuse.core.paths import ANSWERS
from landuse.spec.answers import Answers
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="under mapping.tables")
    table = parser.parse_args().table
    tables = params.read(Path("params.yaml")).mapping.tables
    if table not in tables:
        raise UserError(f"mapping.tables has no {table!r}; there are {', '.join(tables)}")
    coarser = {name: number for number, names in enumerate(tables[table].values()) for name in names}
    store = open_store()
    learnt = read_split(store).query("target >= 0").groupby("target")["class"].unique()
    apart = all(len({coarser.get(name) for name in names}) == 1 for names in learnt)
    if not apart or not coarser.keys() <= set(learnt.explode()):
        raise UserError(f"the network does not tell all classes of {table}: train with -S mapping.preset=all_classes")
    label_of = np.array([coarser.get(names[0], -1) for names in learnt])
    for part in ("val", "test"):
        answers = Answers.load(ANSWERS / f"{part}.npz", len(store.images))
        shares, truth = softmax(answers.pooled(), axis=1), label_of[answers.targets]
        added = np.stack([shares[:, label_of == number].sum(axis=1) for number in range(len(tables[table]))], axis=1)
        right, count = int((added.argmax(axis=1) == truth)[truth >= 0].sum()), int((truth >= 0).sum())
        low, high = wilson(right, count, 0.95)
        print(f"{part}: {right / count:.2%} ({low:.2%} to {high:.2%}), {count - right} of {count:,} tiles wrong")


if __name__ == "__main__":
    with user_errors():
        main()
