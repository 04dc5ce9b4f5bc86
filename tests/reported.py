"""What a report is made from, as an evaluation would find it: answers of a synthetic classifier, measured for real."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from run_facts import calibration as fitted
from run_facts import collapse, data, history, interval, ood, spec, split

from landuse.data.sources.sample.landscape import CLASSES
from landuse.evaluation import curves, metrics
from landuse.evaluation.pairs import differences
from landuse.report import charts
from landuse.report.gallery import Exhibit, Gallery
from landuse.report.inputs import Explained, Inputs

NAMES = list(CLASSES)
MIXED = {
    "PermanentCrop": "AnnualCrop",
    "HerbaceousVegetation": "PermanentCrop",
    "River": "Highway",
    "Pasture": "Forest",
}
PARTS = ["train", "val", "test"]

Paint = Callable[[str], np.ndarray]


def _gain(truth: np.ndarray, first: np.ndarray, second: np.ndarray, names: list[str]) -> dict[str, float | None]:
    found = differences(truth, first[None], second[None], len(names), resamples=200)["accuracy"]
    return metrics.interval(found.value, found.low, found.high)


def painted(name: str) -> np.ndarray:
    """(64, 64, 3) uint8: a smooth field in the colour of its name."""
    rng = np.random.default_rng(list(name.encode()))
    base = np.random.default_rng(list(name.split("/")[0].encode())).uniform(40, 170, 3)
    coarse = rng.normal(0, 22, (8, 8, 1)) + rng.normal(0, 6, (8, 8, 3))
    field = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 7, (64, 64, 3))
    return (base + field).clip(0, 255).astype(np.uint8)


def answers(names: list[str], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,) and logits (n, classes) of a good classifier, calibrated by construction: it draws the truth."""
    likely = np.sort(rng.integers(0, len(names), count))
    logits = rng.normal(0, 1, (count, len(names)))
    logits[np.arange(count), likely] += rng.gamma(7, 1.6, count)
    for one, other in MIXED.items():
        if one in names and other in names:
            logits[likely == names.index(one), names.index(other)] += 2.5
    below = softmax(logits).cumsum(axis=1) < rng.random((count, 1))
    return below.sum(axis=1).clip(max=len(names) - 1), logits


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def binned(shares: np.ndarray, right: np.ndarray, stage: str) -> pd.DataFrame:
    """Fifteen bins of as many tiles each."""
    sure = shares.max(1)
    rows = []
    for chosen in np.array_split(np.argsort(sure, kind="stable"), 15):
        if len(chosen):
            found = metrics.wilson(int(right[chosen].sum()), len(chosen), 0.95)
            rows.append(
                {
                    "stage": stage,
                    "confidence": sure[chosen].mean(),
                    "accuracy": found["value"],
                    "count": len(chosen),
                    "low": found["low"],
                    "high": found["high"],
                }
            )
    return pd.DataFrame(rows)


def calibration(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> tuple[dict[str, Any], pd.DataFrame]:
    table = pd.concat([binned(s, s.argmax(1) == truth, stage) for stage, s in (("before", before), ("after", after))])
    found: dict[str, Any] = {"temperature": 1.7, "scaled": True, "bins": 15}
    for stage, shares in (("before", before), ("after", after)):
        of = table[table["stage"] == stage]
        ece = float(np.average((of["accuracy"] - of["confidence"]).abs(), weights=of["count"]))
        nll = float(-np.log(shares[np.arange(len(truth)), truth]).mean())
        brier = float(((shares - np.eye(shares.shape[1])[truth]) ** 2).sum(1).mean())
        found[stage] = {"ece": interval(ece, 0.003), "nll": interval(nll, 0.008), "brier": interval(brier, 0.004)}
    return found, table.reset_index(drop=True)


def abstention(shares: np.ndarray, truth: np.ndarray) -> tuple[dict[str, Any], pd.DataFrame]:
    order = np.argsort(-shares.max(1), kind="stable")
    right = (shares.argmax(1) == truth)[order]
    rows = []
    for kept in np.unique(np.linspace(1, len(truth), 100).round().astype(int)):
        found = metrics.wilson(int(right[:kept].sum()), int(kept), 0.95)
        rows.append(
            {
                "coverage": kept / len(truth),
                "accuracy": found["value"],
                "low": found["low"],
                "high": found["high"],
                "threshold": shares.max(1)[order][kept - 1],
            }
        )
    kept = round(0.95 * len(truth))
    section = {
        "score": "max_softmax",
        "coverage_asked": 0.95,
        "threshold": round(float(shares.max(1)[order][kept - 1]), 6),
        "coverage": metrics.wilson(kept, len(truth), 0.95),
        "abstained": len(truth) - kept,
        "accuracy": metrics.wilson(int(right[:kept].sum()), kept, 0.95),
    }
    return section, pd.DataFrame(rows)


def conformal(shares: np.ndarray, truth: np.ndarray, names: list[str]) -> dict[str, Any]:
    kept = shares >= 0.12
    held = kept[np.arange(len(truth)), truth]
    sizes = np.bincount(kept.sum(1), minlength=3)
    by_label = {
        name: metrics.wilson(int(held[truth == i].sum()), int((truth == i).sum()), 0.95) for i, name in enumerate(names)
    }
    return {
        "method": "lac",
        "coverage_asked": 0.95,
        "coverage": metrics.wilson(int(held.sum()), len(held), 0.95),
        "mean_size": round(float(kept.sum(1).mean()), 6),
        "sizes": {str(i): int(c) for i, c in enumerate(sizes)},
        "by_label": by_label,
    }


def measured(names: list[str], truth: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
    """The part of evaluate.json that the evaluation itself measures."""
    rng = np.random.default_rng(1)
    predicted = shares.argmax(1)
    matrix = metrics.confusion(truth, predicted, len(names))
    auc, ranked = metrics.rank_metrics(truth, shares, names, 0.95, 20, rng)
    labels = metrics.by_label(matrix, names, 0.95, 20, rng)
    chance, weak = (
        np.zeros_like(truth),
        np.where(rng.random(len(truth)) < 0.66, truth, rng.integers(0, len(names), len(truth))),
    )
    guesses = {"majority": chance, "band_statistics": weak}
    baselines = {k: metrics.summarise(truth, v, len(names), 0.95, 20, rng) for k, v in guesses.items()}
    right = truth == predicted
    classes = {
        name: {
            "n": int((truth == i).sum()),
            "accuracy": metrics.wilson(int(right[truth == i].sum()), int((truth == i).sum()), 0.95),
        }
        for i, name in enumerate(names)
    }
    return {
        **metrics.summarise(truth, predicted, len(names), 0.95, 20, rng),
        "roc_auc": auc,
        "n": len(truth),
        "errors": int((~right).sum()),
        "confidence": 0.95,
        "labels": {name: labels[name] | ranked[name] for name in names},
        "classes": classes,
        "baselines": {
            k: {key: v[key] for key in ("accuracy", "macro_f1")} | {"gain": _gain(truth, predicted, guesses[k], names)}
            for k, v in baselines.items()
        },
        "views": {
            "n": 8,
            "tiles": 1000,
            "accuracy": interval(right.mean() + 0.002, 0.004),
            "gain": interval(0.002, 0.0021),
        },
    }


def exhibit(row: Any, paint: Paint, overlay: bool) -> Exhibit:
    picture, seen = paint(row.file), None
    if overlay:
        heat = np.kron(np.random.default_rng(list(row.file.encode())).random((4, 4, 1)), np.ones((32, 32, 1)))
        seen = (0.55 * np.kron(picture, np.ones((2, 2, 1))) + 0.45 * heat * [255, 90, 20]).astype(np.uint8)
    return Exhibit(row.file, picture, seen, row.file.split("/")[0], row.truth, row.prediction, row.probability)


def galleries(table: pd.DataFrame, paint: Paint) -> tuple[Gallery, ...]:
    """Worst errors, least certain tiles and, with overlays, right ones."""
    wrong = table[table["truth"] != table["prediction"]].sort_values("probability", ascending=False)
    right = table[table["truth"] == table["prediction"]].groupby("truth").head(1)
    shown = {
        "errors": ("Worst errors", "Wrong, the surest first.", wrong.head(24)),
        "uncertain": ("Least certain", "The lowest probabilities.", table.sort_values("probability").head(12)),
        "correct": ("Correct", "Right, one of each label.", right.head(24)),
    }
    return tuple(
        Gallery(name, title, about, tuple(exhibit(row, paint, name == "correct") for row in rows.itertuples()))
        for name, (title, about, rows) in shown.items()
    )


def embedding(table: pd.DataFrame, names: list[str], count: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    chosen = table.iloc[np.sort(rng.permutation(len(table))[:count])].reset_index(drop=True)
    centres = {name: rng.normal(0, 30, 4) for name in names}
    place = np.array([centres[name] for name in chosen["prediction"]]) + rng.normal(0, 1, (len(chosen), 4)) * [
        6,
        6,
        14,
        14,
    ]
    return pd.DataFrame(
        {
            "file": chosen["file"],
            "class": chosen["truth"],
            "label": chosen["truth"],
            "prediction": chosen["prediction"],
            "split": np.where(rng.random(len(chosen)) < 0.5, "val", "test"),
            "correct": chosen["truth"] == chosen["prediction"],
            "pca_x": place[:, 2],
            "pca_y": place[:, 3],
            "tsne_x": place[:, 0],
            "tsne_y": place[:, 1],
        }
    )


def tiles(names: list[str], extra: tuple[str, ...] = ("Wetland", "Snow", "Cloud")) -> pd.DataFrame:
    """A split table with places: six tiles of each label, one of each class that is kept aside."""
    rng = np.random.default_rng(5)
    classes = [name for name in names for _ in range(6)] + list(extra)
    taught = np.array([name in names for name in classes])
    return pd.DataFrame(
        {
            "row": range(len(classes)),
            "file": [f"{name}/{i}.jpg" for i, name in enumerate(classes)],
            "class": classes,
            "label": np.where(taught, classes, ""),
            "target": [names.index(name) if name in names else -1 for name in classes],
            "split": np.where(
                taught, np.resize(["train", "train", "train", "train", "val", "test"], len(classes)), "aside"
            ),
            "latitude": rng.normal(48, 2, len(classes)),
            "longitude": rng.normal(9, 3, len(classes)),
        }
    )


def found(
    names: list[str] = NAMES, count: int = 4050, points: int = 1500, paint: Paint = painted
) -> tuple[Inputs, Explained]:
    """Everything that a report can show."""
    rng = np.random.default_rng(0)
    truth, logits = answers(names, count, rng)
    before, after = softmax(1.7 * logits), softmax(logits)
    table = pd.DataFrame(
        {"truth": np.take(names, truth), "prediction": np.take(names, after.argmax(1)), "probability": after.max(1)}
    )
    table["file"] = (
        table["truth"] + "/" + table["truth"] + "_" + (1 + table.groupby("truth").cumcount()).astype(str) + ".jpg"
    )
    calibrated, reliability = calibration(before, after, truth)
    declined, coverage = abstention(after, truth)
    evaluated = measured(names, truth, after) | {
        "calibration": calibrated,
        "abstention": declined,
        "conformal": conformal(after, truth, names),
        "ood": ood(),
    }
    wrong = table[table["truth"] != table["prediction"]].sort_values("probability", ascending=False).head(30)
    suspects = pd.DataFrame(
        {
            "file": wrong["file"],
            "label": wrong["truth"],
            "suggested": wrong["prediction"],
            "score": 1 - wrong["probability"],
        }
    )
    inputs = Inputs(
        spec=spec(names),
        calibration=fitted(),
        data=data(names),
        tiles=tiles(names),
        split=split(names),
        train={"epochs": 12, "best_epoch": 11, "val_loss": 0.1123, "val_accuracy": 0.9842, "val_macro_f1": 0.9838},
        collapse=collapse(),
        evaluate=evaluated,
        export={
            "opset": 20,
            "bytes": 13_600_000,
            "tiles": count,
            "parity": {"batch_1": {"largest_difference": 3e-7}, "batch_37": {"largest_difference": 2e-6}},
        },
        history=history(),
        curves=curves.tables(truth, after, evaluated["labels"])["curves"],
        reliability=reliability,
        abstention=coverage,
    )
    return inputs, Explained(
        confusion=metrics.confusion(truth, after.argmax(1), len(names)),
        embedding=embedding(table, names, points),
        suspects=suspects,
        galleries=galleries(table, paint),
        chosen_from=count,
    )


def pictures(inputs: Inputs, explained: Explained) -> dict[str, Markup]:
    """The pictures of the page; those under plots/ are not written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "save_figure", lambda *_: None)
        return charts.draw(inputs, explained)
