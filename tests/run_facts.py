"""What the files of a finished run say, for reports in tests: made up, but in their true form."""

from typing import Any

import numpy as np
import pandas as pd

from landuse.evaluation import metrics
from landuse.spec.model import Calibration, ModelSpec


def interval(value: float, half: float) -> metrics.Interval:
    return {"value": round(value, 6), "low": round(value - half, 6), "high": round(min(value + half, 1.0), 6)}


def ood() -> dict[str, Any]:
    scores = {"max_softmax": (0.861, 0.52), "energy": (0.884, 0.44), "mahalanobis": (0.921, 0.31), "knn": (0.934, 0.27)}
    return {
        "n": 2600,
        "classes": {"Wetland": 900, "Snow": 800, "Cloud": 900},
        "scores": {name: {"auroc": interval(a, 0.008), "fpr95": interval(f, 0.02)} for name, (a, f) in scores.items()},
        "best": "knn",
        "by_class": {
            "Wetland": interval(0.861, 0.014),
            "Snow": interval(0.962, 0.008),
            "Cloud": interval(0.981, 0.005),
        },
    }


def spec(names: list[str], **other: Any) -> ModelSpec:
    params = {
        "train.recipe": "fast",
        "train.seed": 42,
        "model.backbone": "efficientnet_lite0",
        "recipe.phases.0.lr": 0.001,
        "train.lr": None,
    }
    facts = {
        "backbone": "efficientnet_lite0",
        "stem": "standard",
        "pooling": "avg",
        "head": {"hidden": None, "dropout": 0.2},
        "weights": "imagenet",
        "classes": names,
        "bands": ["B04", "B03", "B02"],
        "units": "1..255, from 0..2750 digital numbers (reflectance x 10000)",
        "dtype": "uint8",
        "tile_size": 64,
        "input_size": 64,
        "mean": [127.5] * 3,
        "std": [127.5] * 3,
        "source": "eurosat_rgb",
        "data_licence": "MIT (EuroSAT), Copernicus Sentinel data terms",
        "data_digest": "0bbb" * 16,
        "params_digest": "48e6" * 16,
        "identity": "4bad" * 16,
        "params": params,
    }
    return ModelSpec(**(facts | other))


def calibration(**other: Any) -> Calibration:
    member = {
        "backbone": "efficientnet_lite0",
        "seed": 42,
        "phase": None,
        "weights": "c4" * 32,
        "identity": "4bad" * 16,
    }
    facts = {
        "temperature": 1.7,
        "power": 1.0,
        "reason": "scaling lowers the NLL of held-out validation tiles from 0.0921 to 0.0744",
        "coverage": 0.95,
        "abstention_threshold": 0.87,
        "conformal_method": "lac",
        "conformal_coverage": 0.95,
        "conformal_quantile": 0.88,
        "views": 1,
        "members": [member],
    }
    return Calibration(**(facts | other))


def split(names: list[str]) -> dict[str, Any]:
    parts = {name: {"train": 1890, "val": 405, "test": 405} for name in names}
    return {
        "method": "stratified",
        "classes": parts,
        "labels": parts,
        "tiles": {"train": 18900, "val": 4050, "test": 4050, "aside": 2600, "unlisted": 0},
        "duplicates": {
            "exact_across_parts": 0,
            "exact_within_parts": 0,
            "near_across_parts": 2,
            "near_within_parts": 2,
        },
        "nearest_test_to_train_km": {
            "min": 0.012,
            "median": 0.91,
            "histogram": {"low": 0.01, "high": 100.0, "tiles": [5, 900, 40, 3]},
        },
        "coordinates_only": {"accuracy": interval(0.6603, 0.0127), "majority": interval(0.11, 0.01)},
    }


def data(names: list[str]) -> dict[str, Any]:
    return {
        "source": "eurosat_rgb",
        "bands": ["B04", "B03", "B02"],
        "units": "1..255, from 0..2750 digital numbers",
        "tiles": 27000,
        "tile_size": 64,
        "quarantined": 0,
        "licence": "MIT (EuroSAT), Copernicus Sentinel data terms",
        "digest": "feef" * 16,
        "official": True,
        "classes": dict.fromkeys(names, 2700),
    }


def history() -> pd.DataFrame:
    epoch = np.arange(1, 13)
    val = 0.985 - 0.06 * np.exp(-epoch / 2.5)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "phase": ["head"] * 4 + ["all"] * 8,
            "lr": 1e-3 * np.sin(np.pi * epoch / 13),
            "train_loss": 0.5 + np.exp(-epoch / 3),
            "train_accuracy": 0.99 - 0.2 * np.exp(-epoch / 2),
            "val_loss": 0.11 + 0.3 * np.exp(-epoch / 2),
            "val_accuracy": val,
            "val_macro_f1": val - 0.001,
        }
    )


def collapse() -> dict[str, Any]:
    def check(epoch: int, **numbers: float) -> dict[str, Any]:
        return {"verdict": "ok", "epoch": epoch, "measured": numbers, "limit": {}, "cause": ""}

    return {
        "action": "fail",
        "verdict": "ok",
        "stopped": False,
        "baselines": {"majority": 0.11, "band_statistics": 0.68},
        "checks": {
            "inputs": check(0, mean=-0.31, std=0.42),
            "initial_loss": check(0, ratio=1.01),
            "eval_gap": check(5, gap=0.0226),
        },
    }
