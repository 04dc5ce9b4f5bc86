"""The model card says what holds for this model, and nothing else."""

import json
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from trained import Workspace

from landuse.export import _MEASURED, card
from landuse.params import Split
from landuse.prediction import CALIBRATION
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store

EXPORT = {
    "opset": 20,
    "bytes": 13_600_000,
    "tiles": 41,
    "parity": {"batch_1": {"differing": 0, "largest_difference": 3e-7}},
}


@pytest.fixture
def render(workspace: Workspace):
    """Render the card of the workspace with other facts: fields of the spec, keys of the pipeline's own files."""

    def rendered(
        data: dict[str, object] | None = None,
        split: dict[str, object] | None = None,
        evaluated: dict[str, object] | None = None,
        calibration: dict[str, object] | None = None,
        **facts: object,
    ) -> str:
        info = json.loads(Path("data/tiles/dataset.json").read_text()) | (data or {})
        results = {Path(file).stem: json.loads(Path(file).read_text()) for file in _MEASURED}
        results["split"] |= split or {}
        results["evaluate"] |= evaluated or {}
        calibrated = json.loads(CALIBRATION.read_text()) | (calibration or {})
        described = workspace.spec.model_copy(update=facts)
        return card.render(described, calibrated, info, read_split(open_store()), results | {"export": EXPORT})

    return rendered


def test_it_has_every_section_once_and_no_gap(render) -> None:
    text = render()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        *("What it is", "How to use it", "Limits", "Results", "How sure it is"),
        *("Data", "Training", "Export", "Licences", "Provenance"),
    ]
    for gap in ("None", " nan", "{", "undefined"):
        assert gap not in text.split("```")[0] + text.split("```")[2], gap


def test_every_method_of_splitting_is_explained() -> None:
    assert set(card._ABOUT_SPLIT) == set(get_args(Split.model_fields["method"].annotation))


def test_it_names_the_variant_of_the_backbone(render) -> None:
    assert "Backbone test_resnet, starting" in render()
    assert "Backbone test_resnet with GeM pooling, starting" in render(pooling="gem")
    both = "Backbone test_resnet with a first convolution of stride 1 and GeM pooling, starting"
    assert both in render(stem="small", pooling="gem")


def test_results_stand_with_their_intervals_beside_the_baselines(render) -> None:
    found = json.loads(Path("reports/evaluate.json").read_text())
    text = render()
    for name, measure in (("Accuracy", found["accuracy"]), ("Macro-F1", found["macro_f1"])):
        assert f"| {name} | {measure['value']:.4f} ({measure['low']:.4f} to {measure['high']:.4f}) |" in text
    majority = found["baselines"]["majority"]["accuracy"]["value"]
    assert f"| Accuracy of majority (baseline) | {majority:.4f} (" in text
    assert "On 41 test tiles" in text
    assert "95 % intervals" in text
    recall = found["labels"]["City"]["recall"]["value"]
    assert "| City | " in text and f" | {recall:.4f} (" in text
    assert "| Pasture | " in text


def test_tables_are_whole(render) -> None:
    lines = render().splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")


def test_an_undefined_measure_is_called_so(render) -> None:
    file = Path("reports/evaluate.json")
    found = json.loads(file.read_text())
    found["roc_auc"] = {"value": None, "low": None, "high": None}
    file.write_text(json.dumps(found))
    assert "| ROC-AUC | undefined |" in render()


def test_sizes_of_the_parts_are_those_of_the_split(render) -> None:
    split: pd.DataFrame = read_split(open_store())
    city = split[split["label"] == "City"]["split"].value_counts()
    assert f"| City | Highway | {city['train']} | {city['val']} | {city['test']} |" in render()


def test_simulated_tiles_are_said_to_be_simulated_and_only_they(render) -> None:
    assert "> **Trained and tested on simulated tiles.**" in render()
    real = render(source="eurosat_rgb")
    assert "simulated tiles" not in real
    assert "European" in real


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"weights": "none"}, "none, it started from random numbers"),
        ({"weights": "imagenet", "backbone": "efficientnet_lite0"}, "Apache-2.0"),
        ({"weights": "imagenet", "backbone": "resnet50"}, "BSD-3-Clause (torchvision)"),
        ({"weights": "imagenet", "backbone": "mobilenet_v3_small"}, "BSD-3-Clause (torchvision)"),
        ({"weights": "imagenet", "backbone": "vit_tiny_patch16_224"}, "huggingface.co/timm"),
        ({"weights": "somewhere/mine.pth"}, "a file that the user brought"),
    ],
)
def test_licence_of_the_weights(render, facts: dict[str, object], told: str) -> None:
    licences = render(**facts).split("## Licences")[1].split("## ")[0]
    assert told in licences
    assert "MIT (simulated)" in licences
    assert "mine.pth" not in licences


@pytest.mark.parametrize(
    ("method", "told"), [("stratified", "flatters"), ("spatial", "Blocks of land"), ("published", "published lists")]
)
def test_what_the_split_means(render, method: str, told: str) -> None:
    assert told in render(split={"method": method})


def test_digest_and_what_is_kept_aside(render) -> None:
    assert ", the official one." in render(data={"official": True})
    assert ", not the whole official set." in render(data={"official": False})
    assert "(Forest in this data)" in render()


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


EVALUATED = {
    "calibration": {
        "temperature": 1.7,
        "power": 1.0,
        "scaled": True,
        "reason": "it lowers the loss on validation",
        "before": {"ece": interval(0.02), "nll": interval(0.3), "brier": interval(0.2)},
        "after": {"ece": interval(0.015), "nll": interval(0.25), "brier": interval(0.19)},
        "bins": 15,
    },
    "abstention": {
        "score": "max_softmax",
        "coverage_asked": 0.95,
        "threshold": 0.87,
        "coverage": interval(0.94),
        "accuracy": interval(0.97),
        "abstained": 1234,
    },
    "conformal": {
        "method": "lac",
        "coverage_asked": 0.9,
        "coverage": interval(0.91),
        "mean_size": 1.25,
        "sizes": {"0": 1, "1": 30, "2": 10},
        "by_label": {"City": interval(0.93), "Farmland": interval(0.88)},
    },
    "ood": {
        "n": 44,
        "classes": {"Forest": 44},
        "scores": {
            "max_softmax": {"auroc": interval(0.8), "fpr95": interval(0.5)},
            "knn": {"auroc": interval(0.9), "fpr95": interval(0.4)},
        },
        "best": "knn",
        "by_class": {"Forest": interval(0.9)},
    },
    "views": {"n": 8, "accuracy": interval(0.95), "gain": interval(0.005)},
}


def test_how_sure_it_is_says_what_was_measured(render) -> None:
    text = render(evaluated=EVALUATED).split("## How sure it is")[1].split("\n## ")[0]
    for told in (
        "One network, which sees each tile once.",
        "calibrated by a temperature of 1.7,",
        "| Calibration error (ECE) | 0.0200 (0.0100 to 0.0300) | 0.0150 (0.0050 to 0.0250) |",
        "the decision to scale or not: it lowers the loss on validation.",
        "whose maximum softmax is below 0.8700",
        "to answer a share of 0.95;",
        "refuses 1,234.",
        "Prediction sets (lac)",
        "1 of 0, 30 of 1, 10 of 2",
        "| Farmland | 0.8800 (0.8700 to 0.8900) |",
        "| nearest neighbours | 0.9000 (0.8900 to 0.9100) | 0.4000 (0.3900 to 0.4100) |",
        "| Forest | 44 | 0.9000 (0.8900 to 0.9100) |",
        "Accuracy with 8 views is 0.9500 (0.9400 to 0.9600), a gain of 0.0050 (-0.0050 to 0.0150) over one view.",
    ):
        assert told in text, told


@pytest.mark.parametrize("missing", [*EVALUATED])
def test_what_was_not_measured_is_left_out(render, missing: str) -> None:
    whole = render(evaluated=EVALUATED)
    for absent in (EVALUATED | {missing: None}, {name: EVALUATED[name] for name in EVALUATED if name != missing}):
        text = render(evaluated=absent)
        assert len(text) < len(whole)
        assert "\n\n\n" not in text


def test_probabilities_that_are_not_scaled_are_said_to_be_the_networks_own(render) -> None:
    assert "no temperature divides" in render(calibration={"temperature": 1.0, "power": 1.0})


def test_members_of_an_ensemble_are_named(render) -> None:
    own = json.loads(CALIBRATION.read_text())["members"][0]
    text = render(calibration={"members": [own, own | {"phase": "head", "weights": "f" * 64}], "views": 8})
    assert "2 networks, which see each tile in its 8 flips and turns by right angles: the mean of" in text
    assert f"| test_resnet | 42 | head | `{'f' * 64}` |" in text
