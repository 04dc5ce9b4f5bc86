"""The autoencoder of a small network: the mirror image of its blocks, which it shares."""

from pathlib import Path

import pytest
import torch
from trained import network, spec

from landuse.core.errors import UserError
from landuse.model import saved
from landuse.model.autoencoder import Autoencoder
from landuse.spec.model import ModelSpec


def described(name: str = "cnn_95k", bands: int = 3) -> ModelSpec:
    word = {} if bands == 3 else {"input_adapter": "scratch_stem"}
    return spec(name, bands=bands, head={"hidden": None, "dropout": 0.0}, **word)


@pytest.mark.parametrize(("name", "factor"), [("cnn_54k", 4), ("cnn_95k", 8)])
@pytest.mark.parametrize("bands", [3, 13])
def test_what_comes_out_has_the_shape_of_what_goes_in(name: str, factor: int, bands: int) -> None:
    own = Autoencoder(saved.build(described(name, bands)))
    assert own.factor == factor
    tiles = torch.randn(2, bands, 4 * factor, 2 * factor)
    assert own(tiles).shape == tiles.shape
    assert own.encoder(tiles).shape[2:] == (4, 2)


def test_the_error_is_the_mean_squared_one_of_each_tile() -> None:
    own = Autoencoder(saved.build(described())).eval()
    tiles = torch.randn(3, 3, 32, 32)
    expected = torch.stack([torch.nn.functional.mse_loss(own(tile[None])[0], tile) for tile in tiles])
    assert torch.allclose(own.errors(tiles), expected, rtol=1e-5)


def test_the_encoder_is_the_network_itself_and_its_mirror_reaches_every_pixel() -> None:
    model = saved.build(described())
    own = Autoencoder(model)
    held = {id(parameter) for parameter in own.encoder.parameters()}
    assert held == {id(parameter) for parameter in model.backbone.parameters()}
    own.errors(torch.randn(2, 3, 32, 32)).mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in own.parameters())


def test_on_disk_the_encoder_stays_as_it_was_when_the_network_moves_on(tmp_path: Path) -> None:
    facts = described()
    model = network(facts)
    before = {name: tensor.clone() for name, tensor in Autoencoder(model).eval().state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    saved.save(model, facts, tmp_path / "model", autoencoder=before)
    read = saved.load_autoencoder(facts, tmp_path / "model").state_dict()
    assert read.keys() == before.keys() and all(torch.equal(read[name], before[name]) for name in before)


@pytest.mark.parametrize("fault", ["missing", "cut", "other"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, fault: str) -> None:
    facts = described()
    model = saved.build(facts)
    other = Autoencoder(saved.build(described("cnn_54k") if fault == "other" else facts)).state_dict()
    saved.save(model, facts, tmp_path / "model", autoencoder=other)
    file = tmp_path / "model" / saved.AUTOENCODER
    if fault == "missing":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"autoencoder\.safetensors.*'dvc repro train'"):
        saved.load_autoencoder(facts, tmp_path / "model")
