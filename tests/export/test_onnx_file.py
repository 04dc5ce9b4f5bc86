"""The ONNX file: the same answers as the network, one file, the same bytes, nothing of this machine."""

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import ROOT
from torch import nn
from trained import TEMPERATURE, layer_bands, network, pixels, spec

from landuse.core.errors import UserError
from landuse.export import onnx_file
from landuse.export.onnx_file import Outputs
from landuse.prediction.predictor import Predictor, predict
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling

OPSET = 20
CPU = torch.device("cpu")


def exported_of(described: ModelSpec, opset: int = OPSET) -> bytes:
    return onnx_file.export(Predictor([network(described)], 1, CPU), described, Scaling(TEMPERATURE), opset)


@pytest.fixture(scope="module")
def exported() -> tuple[ModelSpec, bytes]:
    described = spec(source="a source", units="a unit")
    return described, exported_of(described)


@pytest.mark.long
@pytest.mark.parametrize(
    ("backbone", "bands", "size", "input_size", "adapter"),
    [
        ("test_resnet", 5, 64, 40, "repeat"),
        ("resnet18", 13, 32, 32, "inflate"),
        ("test_resnet", 13, 32, 32, "project"),
        ("test_resnet", 13, 32, 32, "select_rgb"),
        ("mobilenet_v3_small", 3, 48, 48, "repeat"),
        # the default backbone's kind; itself the pipeline exports, and proves it
        ("test_efficientnet", 3, 48, 48, "repeat"),
        ("test_vit", 3, 64, 160, "repeat"),  # kinds of transformers and of layers with few weights
        ("test_convnext", 13, 64, 96, "repeat"),
    ],
)
def test_it_answers_as_the_network_does(
    backbone: str, bands: int, size: int, input_size: int, adapter: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rgb = None if adapter == "repeat" else [3, 2, 1]
    described = spec(backbone, bands, size, input_size, input_adapter=adapter, rgb=rgb)
    model = network(described)
    tiles = pixels(described, 50)
    with torch.inference_mode():
        logits = model(torch.from_numpy(tiles.astype(np.float32)).permute(0, 3, 1, 2))
    expected = torch.softmax(logits / TEMPERATURE, dim=1).numpy()
    assert expected[:, 0].std() > 0.05, "a constant answer would prove nothing"
    stored = predict([model], 1, tiles, np.arange(50), np.zeros(50, dtype=np.int64), CPU)
    assert stored.statistics.std(axis=0).max() > 0.01
    content = exported_of(described)
    for batch_size in (1, 37):
        answers = onnx_file.predict(content, tiles, np.arange(50), batch_size)
        assert answers.probabilities.dtype == answers.features.dtype == np.float32
        parity = onnx_file.compare(answers, onnx_file.Outputs(expected, stored.statistics))
        assert parity.differing == 0
        assert parity.largest_difference < 1e-4
        assert parity.largest_feature_difference < 1e-5
    assert capfd.readouterr() == ("", ""), "the exporter talks"


@pytest.mark.long
def test_late_fusion_answers_as_the_network_does() -> None:
    layers = layer_bands("B09", "B10")  # the last of ten bands
    described = spec(bands=10, input_size=40, input_adapter="inflate", rgb=[3, 2, 1], layers=layers, fusion="late")
    model, tiles = network(described), pixels(described, 40)
    stored = predict([model], 1, tiles, np.arange(40), np.zeros(40, dtype=np.int64), CPU)
    expected = np.exp(Scaling(TEMPERATURE).log_probabilities(stored.pooled()))
    assert expected[:, 0].std() > 0.05, "a constant answer would prove nothing"
    content = exported_of(described)
    for batch_size in (1, 37):
        answers = onnx_file.predict(content, tiles, np.arange(40), batch_size)
        parity = onnx_file.compare(answers, onnx_file.Outputs(expected.astype(np.float32), stored.statistics))
        assert (parity.differing, parity.largest_difference < 1e-4) == (0, True)
        assert parity.largest_feature_difference < 1e-5
    odd = tiles.copy()
    odd[..., 8:] = tiles[::-1, ..., 8:]
    others = predict([model], 1, odd, np.arange(40), np.zeros(40, dtype=np.int64), CPU)
    assert not np.allclose(others.features, stored.features)
    assert np.array_equal(others.statistics, stored.statistics), "an odd layer makes no tile strange"


@pytest.mark.long
def test_the_power_of_the_scaling_is_inside(exported: tuple[ModelSpec, bytes]) -> None:
    described = spec()
    model, tiles = network(described), pixels(described, 20)
    with torch.inference_mode():
        logits = model(torch.from_numpy(tiles.astype(np.float32)).permute(0, 3, 1, 2)).double()
    expected = np.exp(Scaling(TEMPERATURE, 1.5).log_probabilities(logits.numpy()))
    content = onnx_file.export(Predictor([model], 1, CPU), described, Scaling(TEMPERATURE, 1.5), OPSET)
    with_power, without = (
        onnx_file.predict(each, tiles, np.arange(20), 7).probabilities for each in (content, exported[1])
    )
    assert np.abs(with_power - expected).max() < 1e-5
    assert np.abs(without - expected).max() > 1e-3


@pytest.mark.long
def test_members_and_views_are_inside() -> None:
    """Two networks of other kinds and input sizes; the views are made by turning here, by flipping there."""
    described = spec()
    plain = {"hidden": None, "dropout": 0.0}
    members = [network(spec("cnn_95k", head=plain)), network(spec("cnn_54k", input_size=40, head=plain))]
    tiles = pixels(described, 40)
    with torch.inference_mode():
        given = torch.from_numpy(tiles.astype(np.float32)).permute(0, 3, 1, 2)
        turned = [x.rot90(k, (2, 3)) for x in (given, given.flip(3)) for k in range(4)]
        shares = torch.stack([member(x).double().softmax(1) for member in members for x in turned]).mean(0)
    expected = (shares.log() / TEMPERATURE).softmax(1).numpy()
    content = onnx_file.export(Predictor(members, 8, CPU), described, Scaling(TEMPERATURE), OPSET)
    for batch_size in (1, 37):
        answers = onnx_file.predict(content, tiles, np.arange(40), batch_size)
        assert np.abs(answers.probabilities - expected).max() < 1e-5
    with torch.inference_mode():
        alone = (members[0](given).double() / TEMPERATURE).softmax(1).numpy()
    assert np.abs(alone - expected).max() > 1e-3
    stored = predict(members[:1], 1, tiles, np.arange(40), np.zeros(40, dtype=np.int64), CPU)
    assert np.allclose(answers.features, stored.statistics, atol=1e-5), "of the first member, of the tile as it is"


def test_raw_pixels_in_any_number_probabilities_out(exported: tuple[ModelSpec, bytes]) -> None:
    session = onnxruntime.InferenceSession(exported[1])
    given, (answer, features) = session.get_inputs()[0], session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("pixels", "tensor(uint8)", [32, 32, 3])
    assert (answer.name, answer.type, answer.shape[1:]) == ("probabilities", "tensor(float)", [2])
    assert (features.name, features.type, features.shape[1:]) == ("features", "tensor(float)", [2 * (48 + 192)])
    assert isinstance(given.shape[0], str)
    assert given.shape[0] == answer.shape[0] == features.shape[0]
    for count in (1, 2, 5):
        tiles = pixels(exported[0], count)
        assert session.run(None, {"pixels": tiles})[0].sum(axis=1) == pytest.approx(np.ones(count), abs=1e-6)


def test_it_says_what_it_is(exported: tuple[ModelSpec, bytes]) -> None:
    found = onnxruntime.InferenceSession(exported[1]).get_modelmeta().custom_metadata_map
    assert json.loads(found.pop("classes")) == ["City", "Farmland"]
    assert json.loads(found.pop("bands")) == ["B04", "B03", "B02"]
    assert found == {"units": "a unit", "identity": "1" * 64, "data_digest": "d" * 64}


def test_it_holds_no_path_and_no_trace_of_this_machine(exported: tuple[ModelSpec, bytes]) -> None:
    content = exported[1]
    for word in (str(ROOT), sys.prefix, "site-packages", ".py", "stack_trace", 'File "'):
        assert word.encode() not in content, word
    assert re.search(rb"/(home|root|tmp|work|usr)/", content) is None
    assert onnx.load_from_string(content).opset_import[0].version == OPSET


@pytest.mark.long
def test_another_process_writes_the_same_bytes(exported: tuple[ModelSpec, bytes]) -> None:
    code = (
        "import hashlib; from trained import *; from landuse.export import onnx_file\n"
        "from landuse.prediction.predictor import Predictor\nfrom landuse.spec.scaling import Scaling\n"
        "s = spec(source='a source', units='a unit')\n"
        "predictor = Predictor([network(s)], 1, torch.device('cpu'))\n"
        f"content = onnx_file.export(predictor, s, Scaling(TEMPERATURE), {OPSET})\n"
        "print(hashlib.sha256(content).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "99", "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [hashlib.sha256(exported[1]).hexdigest()]
    assert done.stderr == ""


def test_differences_are_counted() -> None:
    features = np.array([[4.0, 1.0]] * 3, dtype=np.float32)
    reference = Outputs(np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]], dtype=np.float32), features)
    other = Outputs(np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5]], dtype=np.float32), features + 0.5)
    assert onnx_file.compare(reference, reference) == onnx_file.Parity(0, 0.0, 0.0)
    assert onnx_file.compare(other, reference) == onnx_file.Parity(1, 0.3, 0.125)
    other.probabilities[2] = np.nan
    assert np.isnan(onnx_file.compare(other, reference).largest_difference)


@pytest.mark.long
def test_an_opset_from_the_future_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    described = spec()
    with pytest.raises(UserError, match=r"opset is 99, which the installed onnx does not know \(its last is \d+\)"):
        exported_of(described, opset=99)
    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 100)
    with pytest.raises(UserError, match=r"export\.opset is 99, which torch.onnx cannot write: use a lower one"):
        exported_of(described, opset=99)


def test_colours_of_torch_are_no_part_of_our_lines() -> None:
    assert onnx_file._first_line(RuntimeError("\n\x1b[96m[torch.onnx]\x1b[0m fails\nmore")) == "[torch.onnx] fails"


def test_an_opset_that_onnxruntime_does_not_know_is_refused(exported: tuple[ModelSpec, bytes]) -> None:
    proto = onnx.load_from_string(exported[1])
    proto.opset_import[0].version = 99
    with pytest.raises(UserError, match=r"export\.opset is 99, which the installed onnxruntime cannot run"):
        onnx_file.predict(proto.SerializeToString(), pixels(exported[0], 1), np.arange(1), 1)


def test_a_damaged_file_is_no_mistake_of_the_user(exported: tuple[ModelSpec, bytes]) -> None:
    with pytest.raises(Exception, match=r"INVALID_PROTOBUF|Protobuf"):
        onnx_file.predict(exported[1][:1000], pixels(exported[0], 1), np.arange(1), 1)


class Undecided(nn.Module):
    """Branches on what it sees, which a graph cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)) if x.sum() > 0 else x.amax(dim=(2, 3))


def test_a_network_without_onnx_form_is_refused_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    described = spec(head={"hidden": None, "dropout": 0.0})
    model = network(described)
    model.backbone, model.head = Undecided(), nn.Linear(3, 2)
    with pytest.raises(UserError, match=r"^test_resnet has no ONNX form .*choose another model.backbone$") as caught:
        onnx_file.export(Predictor([model], 1, CPU), described, Scaling(TEMPERATURE), OPSET)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
