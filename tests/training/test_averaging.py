"""Means of the weights: EMA and SWA."""

from pathlib import Path

import torch
from small import load, network, same, tiles

from landuse.model.classifier import Classifier
from landuse.training.averaging import Average


def moved(model: Classifier, to: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(to)


def test_without_a_mean_the_network_itself_is_validated(tmp_path: Path) -> None:
    p = load(tmp_path)
    model = network()
    assert Average(model, p.recipe, p.recipe.phases[0]).model is model


def test_ema_follows_timms_decay(tmp_path: Path) -> None:
    """Step 1 copies; step 2 decays by 1 - 2^(-2/3); later steps at most by the decay that was asked for."""
    p = load(tmp_path, ema=0.5)
    model = network()
    average = Average(model, p.recipe, p.recipe.phases[0])
    moved(model, 1.0)
    average.after_step()
    assert float(average.model.head[1].bias[0]) == 1.0
    moved(model, 2.0)
    average.after_step()
    second = 1 + 2 ** (-2 / 3)
    assert torch.allclose(average.model.head[1].bias[0], torch.tensor(second))
    for _ in range(3):
        average.after_step()
    third = second + (2 - second) / 2
    assert torch.allclose(average.model.head[1].bias[0], torch.tensor(2 - (2 - third) / 4))
    assert not average.model.training


def test_swa_is_the_plain_mean_of_the_last_epochs_with_statistics_of_its_own(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 4, "freeze": "layer1"}], swa=0.5)
    model = network()
    model.freeze("layer1")
    model.train()
    train, _ = tiles()
    average = Average(model, p.recipe, p.recipe.phases[0])
    frozen = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    for epoch, value in enumerate((9.0, 9.0, 0.25, 0.75), start=1):
        moved(model.head, value)  # type: ignore[arg-type]
        average.after_epoch(epoch, (pixels for pixels, _ in train.in_order()))
        assert (average.model is model) == (epoch <= 2)
    assert torch.allclose(average.model.head[1].bias, torch.full((3,), 0.5))
    now = average.model.state_dict()
    for name, before in frozen.items():
        stage = model.stage_of(name.removesuffix("running_mean").removesuffix("running_var") + "weight")
        assert torch.equal(now[name], before) == (stage in ("stem", "layer1")), name
    assert same({k: v for k, v in model.state_dict().items() if "running" in k}, frozen)


def test_a_mean_goes_on_where_it_was(tmp_path: Path) -> None:
    for settings in ({"ema": 0.9}, {"swa": 0.0}):
        p = load(tmp_path, **settings)
        train, _ = tiles()
        model = network()
        whole = Average(model, p.recipe, p.recipe.phases[0])
        whole.after_step()
        moved(model, 3.0)
        whole.after_epoch(1, (pixels for pixels, _ in train.in_order()))
        resumed = Average(network(), p.recipe, p.recipe.phases[0])
        resumed._model = model
        resumed.load_state_dict(whole.state_dict())
        moved(model, 5.0)
        for average in (whole, resumed):
            average.after_step()
            average.after_epoch(2, (pixels for pixels, _ in train.in_order()))
        assert same(whole.model.state_dict(), resumed.model.state_dict())
