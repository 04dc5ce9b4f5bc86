"""The model card says what holds for this model, and nothing else."""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from trained import Workspace

from landuse.export import card
from landuse.splits import read_split

EXPORT = {
    "opset": 20,
    "bytes": 13_600_000,
    "tiles": 41,
    "parity": {"batch_1": {"differing": 0, "largest_difference": 3e-7}},
}


@pytest.fixture
def render(workspace: Workspace):
    """Render the card of the workspace with other facts: fields of the spec, keys of dataset.json, metrics."""

    def rendered(data: dict[str, object] | None = None, split: dict[str, object] | None = None, **facts: object) -> str:
        info = json.loads(Path("data/tiles/dataset.json").read_text()) | (data or {})
        results = {
            stage: json.loads(Path(f"metrics/{stage}.json").read_text()) for stage in ("split", "train", "evaluate")
        }
        results["split"] |= split or {}
        described = dataclasses.replace(workspace.spec, **facts)
        return card.render(described, info, read_split(), results | {"export": EXPORT})

    return rendered


def test_it_has_every_section_once_and_no_gap(render) -> None:
    text = render()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        *("What it is", "How to use it", "Limits", "Results", "Data", "Training", "Export", "Licences", "Provenance")
    ]
    for gap in ("None", " nan", "{", "undefined"):
        assert gap not in text.split("```")[0] + text.split("```")[2], gap


def test_it_names_the_variant_of_the_backbone(render) -> None:
    assert "Backbone test_resnet, starting" in render()
    assert "Backbone test_resnet with GeM pooling, starting" in render(pooling="gem")
    both = "Backbone test_resnet with a first convolution of stride 1 and GeM pooling, starting"
    assert both in render(stem="small", pooling="gem")


def test_results_stand_with_their_intervals_beside_the_baselines(render) -> None:
    found = json.loads(Path("metrics/evaluate.json").read_text())
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
    file = Path("metrics/evaluate.json")
    found = json.loads(file.read_text())
    found["roc_auc"] = {"value": None, "low": None, "high": None}
    file.write_text(json.dumps(found))
    assert "| ROC-AUC | undefined |" in render()


def test_sizes_of_the_parts_are_those_of_the_split(render) -> None:
    split: pd.DataFrame = read_split()
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


def test_calibration_digest_and_what_is_kept_aside(render) -> None:
    assert "calibrated by a temperature of 1.7" in render()
    assert "not calibrated" in render(temperature=1.0)
    assert ", the official one." in render(data={"official": True})
    assert ", not the whole official set." in render(data={"official": False})
    assert "(Forest in this data)" in render()
