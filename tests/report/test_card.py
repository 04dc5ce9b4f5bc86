"""The model card says what holds for this model, and nothing else."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio
from PIL import Image

from landuse import sensors
from landuse.report import documents
from landuse.report.inputs import Explained, Inputs


@pytest.fixture
def render(two: tuple[Inputs, Explained]) -> Callable[..., str]:
    """Render the card with other facts: fields of the spec, keys of the files of the other stages."""
    inputs, explained = two

    def rendered(
        data: dict[str, Any] | None = None,
        split: dict[str, Any] | None = None,
        evaluated: dict[str, Any] | None = None,
        calibration: dict[str, Any] | None = None,
        **facts: Any,
    ) -> str:
        changed = replace(
            inputs,
            data=inputs.data | (data or {}),
            split=inputs.split | (split or {}),
            evaluate=inputs.evaluate | (evaluated or {}),
            calibration=inputs.calibration.model_copy(update=calibration or {}),
            spec=inputs.spec.model_copy(update=facts),
        )
        return documents.card(changed, explained)

    return rendered


def test_it_has_every_section_once_and_no_gap(render: Callable[..., str]) -> None:
    text = render()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        *("What it is", "How to use it", "Limits", "Results", "How sure it is"),
        *("Data", "Training", "Export", "Licences", "Provenance"),
    ]
    for gap in ("None", " nan", "{", "undefined"):
        assert gap not in text.split("```")[0] + text.split("```")[2], gap


def test_it_names_the_variant_of_the_backbone(render: Callable[..., str]) -> None:
    assert "Backbone efficientnet_lite0, starting" in render()
    assert "Backbone efficientnet_lite0 with GeM pooling, starting" in render(pooling="gem")
    both = "Backbone efficientnet_lite0 with a first convolution of stride 1 and GeM pooling, starting"
    assert both in render(stem="small", pooling="gem")


def test_results_stand_with_their_intervals_beside_the_baselines(
    render: Callable[..., str], two: tuple[Inputs, Explained]
) -> None:
    found, text = two[0].evaluate, render()

    def told(of: Any) -> str:
        return f"{100 * of['value']:.1f} % ({100 * of['low']:.1f} to {100 * of['high']:.1f})"

    assert f"| Accuracy (share of tiles with the right label) | {told(found['accuracy'])} |" in text
    for name, of in (("this model", found), ("majority", found["baselines"]["majority"])):
        assert f"| {name} | {told(of['accuracy'])} | {told(of['macro_f1'])} |" in text
    assert f"| MCC (correlation of truth and prediction) | {found['mcc']['value']:.4f} (" in text
    assert "On 300 test tiles" in text and "95 % intervals" in text
    assert f" | {told(found['labels']['City']['recall'])} | " in text
    assert "`majority` is always naming the commonest label; " in text


def test_tables_are_whole(render: Callable[..., str]) -> None:
    lines = render().splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")


def test_an_undefined_measure_is_called_so(render: Callable[..., str]) -> None:
    assert re.search(
        r"\| ROC-AUC \(.*\) \| undefined \|", render(evaluated={"roc_auc": dict.fromkeys(("value", "low", "high"))})
    )


def test_sizes_of_the_parts_are_those_of_the_split(render: Callable[..., str]) -> None:
    assert "| City | City | 1,890 | 405 | 405 |" in render()
    assert "| All |  | 18,900 | 4,050 | 4,050 |" in render()


def test_classes_that_share_a_label_are_told_apart(two: tuple[Inputs, Explained]) -> None:
    inputs, explained = two
    tiles = inputs.tiles.copy()
    tiles.loc[tiles["label"] == "City", "class"] = np.resize(["Highway", "Industrial"], 6)
    parts = {"train": 4, "val": 1, "test": 1}
    split: Any = inputs.split | {"classes": dict.fromkeys(("Highway", "Industrial", "Farmland"), parts)}
    text = documents.card(replace(inputs, tiles=tiles, split=split), explained)
    assert "| Highway | City | 4 | 1 | 1 |\n| Industrial | City | 4 | 1 | 1 |\n| All City | City | 1,890 |" in text


def test_simulated_tiles_are_said_to_be_simulated_and_only_they(render: Callable[..., str]) -> None:
    assert "> **Trained and tested on simulated tiles.**" in render(source="sample")
    real = render(source="eurosat_rgb")
    assert "simulated" not in real
    assert "European" in real and "European" not in render(source="sample")


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
def test_licence_of_the_weights(render: Callable[..., str], facts: dict[str, object], told: str) -> None:
    licences = render(**facts).split("## Licences")[1].split("## ")[0]
    assert told in licences
    assert "Copernicus Sentinel data terms" in licences
    assert "mine.pth" not in licences


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("stratified", "at random, so most"),
        ("kfold", "(one fold of a cross-validation), so most"),
        ("spatial", "Blocks of land stay together, so"),
        ("spatial_kfold", "one fold of a cross-validation over them"),
        ("published", "published lists"),
    ],
)
def test_what_the_split_means(render: Callable[..., str], method: str, told: str) -> None:
    assert told in render(split={"method": method})


def test_digest_and_what_is_kept_aside(render: Callable[..., str]) -> None:
    assert "(the official set, by its digest)" in render(data={"official": True})
    assert "(not the whole official set)" in render(data={"official": False})
    assert "(Cloud, Snow and Wetland in this data)" in render()


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
    "views": {"n": 8, "tiles": 1000, "accuracy": interval(0.95), "gain": interval(0.005)},
}


def test_how_sure_it_is_says_what_was_measured(render: Callable[..., str]) -> None:
    text = render(evaluated=EVALUATED).split("## How sure it is")[1].split("\n## ")[0]
    for told in (
        "One network, which sees each tile once.",
        "divided by a temperature of 1.700, fitted on validation tiles. How that was chosen: scaling lowers",
        " (mean distance of stated and true accuracy) | 2.0 % (1.0 to 3.0) | 1.5 % (0.5 to 2.5) |",
        "| Brier score (squared distance of the probabilities from the truth) | 0.2000 (0.1900 to 0.2100) |",
        "where its maximum softmax is at least 87.00 %: a limit chosen on validation tiles to keep 95 % of them",
        "1,234 tiles would go to a person.",
        "a set that holds the truth for 90 % of tiles like the validation tiles (method: lac)",
        "| 0 | 1 | 0.3 % |",
        "| Farmland | 88.0 % (87.0 to 89.0) |",
        "| nearest neighbours | 90.0 % (89.0 to 91.0) | 40.0 % (39.0 to 41.0) |\n| maximum softmax |",
        "| Forest | 44 | 90.0 % (89.0 to 91.0) |",
        "With 8 views of each tile (flips and turns by right angles), accuracy on 1,000 test tiles is 95.0 % (94.0 to"
        " 96.0): +0.50 points (−0.50 to +1.50) against one view of the same tiles.",
    ):
        assert told in text, told


@pytest.mark.parametrize("missing", ["ood", "views"])
def test_what_was_not_measured_is_left_out(render: Callable[..., str], missing: str) -> None:
    whole, text = render(evaluated=EVALUATED), render(evaluated=EVALUATED | {missing: None})
    assert len(text) < len(whole)
    assert "\n\n\n" not in text + whole


def test_probabilities_that_are_not_scaled_are_said_to_be_left_as_they_are(render: Callable[..., str]) -> None:
    text = render(evaluated={"calibration": EVALUATED["calibration"] | {"scaled": False}})
    assert "Its scores are left as they are. How" in text


def test_members_of_an_ensemble_are_named(render: Callable[..., str], two: tuple[Inputs, Explained]) -> None:
    (own,) = two[0].calibration.members
    text = render(calibration={"members": [own, own | {"phase": "head", "weights": "f" * 64}], "views": 8})
    assert "2 networks, which see each tile in its 8 flips and turns by right angles: the mean of" in text
    assert f"| efficientnet_lite0 | 42 | head | `{'f' * 64}` |" in text


def test_page_and_card_say_the_same(render: Callable[..., str], two: tuple[Inputs, Explained]) -> None:
    """Their sentences have one source: every caution of the page stands in the card."""
    page, card = documents.page(*two, {}), render()
    cautions = re.findall(r"<li>(.*?)</li>", page.split('<div class="cautions">')[1].split("</div>")[0])
    assert len(cautions) > 5
    for caution in cautions:
        plain = re.sub(r"</?code>", "`", caution).replace("\u00a0", " ").replace("&#39;", "'")
        assert f"- {plain.strip()}\n" in card


def network(bands: int, dtype: str) -> bytes:
    """An ONNX file as the export writes it, of a linear classifier on the mean of each band."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = onnx.numpy_helper.from_array(np.linspace(-1, 1, 2 * bands, dtype=np.float32).reshape(bands, 2) / 100, "w")
    axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
    nodes = [
        onnx.helper.make_node("Cast", ["pixels"], ["float"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["float", "axes"], ["means"], keepdims=0),
        onnx.helper.make_node("MatMul", ["means", "w"], ["logits"]),
        onnx.helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    pixels = onnx.helper.make_tensor_value_info("pixels", kind, ["n", 8, 8, bands])
    answer = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["n", 2])
    graph = onnx.helper.make_graph(nodes, "it", [pixels], [answer], [weights, axes])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.helper.set_model_props(model, {"classes": json.dumps(["City", "Farmland"])})
    return bytes(model.SerializeToString())


@pytest.mark.filterwarnings("error", "ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("bands", "dtype"), [(3, "uint8"), (4, "uint8"), (13, "uint16")])
def test_its_code_works(
    render: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bands: int,
    dtype: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(network(bands, dtype))
    tile = np.random.default_rng(0).integers(0, 200, (8, 8, bands)).astype(dtype)
    if bands == 3:
        Image.fromarray(tile).save("tile.png")
    else:
        with rasterio.open("tile.tif", "w", driver="GTiff", width=8, height=8, count=bands, dtype=dtype) as file:
            file.write(np.moveaxis(tile, -1, 0))
    names = [*(sensors.RGB if bands == 3 else sensors.BANDS[:bands])]
    (code,) = re.findall(r"```python\n(.*?)```", render(dtype=dtype, bands=names), re.DOTALL)
    exec(compile(code, "card", "exec"), {})
    printed = {name: float(value) for name, value in (line.split() for line in capsys.readouterr().out.splitlines())}
    logits = tile.mean((0, 1)) @ (np.linspace(-1, 1, 2 * bands).reshape(bands, 2) / 100)
    powers = np.exp(logits - logits.max())
    assert printed == pytest.approx(dict(zip(["City", "Farmland"], powers / powers.sum(), strict=True)), abs=1e-4)
