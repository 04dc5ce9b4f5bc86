"""params.yaml: typed, validated, and mistakes told in one helpful line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import DEFAULTS

from landuse import params
from landuse.core.errors import UserError


def changed(tmp_path: Path, key: str, value: Any, *, delete: bool = False) -> Path:
    """Write the repository's params.yaml with one key changed."""
    content = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
    *path, last = key.split(".")
    table = content
    for step in path:
        table = table[int(step) if isinstance(table, list) else step]
    if delete:
        del table[last]
    else:
        table[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train.lrr", 0.1, ["'train.lrr'", "did you mean 'lr'"]),
        ("data.sample.tile_per_class", 5, ["did you mean 'tiles_per_class'"]),
        ("trian", {}, ["unknown key 'trian'", "did you mean 'train'"]),
        ("data.source", "eurosat_rbg", ["data.source is 'eurosat_rbg'", "eurosat_ms", "did you mean 'eurosat_rgb'"]),
        ("train.freeze", "layr3", ["train.freeze is 'layr3'", "did you mean 'layer3'"]),
        ("train.lr", -1.0, ["train.lr is -1.0", "greater than 0"]),
        ("train.lr", "fast", ["train.lr is 'fast'"]),
        ("train.epochs", 2.5, ["train.epochs is 2.5"]),
        ("train.epochs", 0, ["train.epochs is 0"]),
        ("evaluate.scaling", "temprature", ["evaluate.scaling is 'temprature'", "did you mean 'temperature'"]),
        ("evaluate.coverage", 1.2, ["evaluate.coverage is 1.2", "less than or equal to 1"]),
        ("evaluate.conformal_coverage", 1.0, ["evaluate.conformal_coverage is 1.0", "less than 1"]),
        ("runtime.log_model", "yes", ["runtime.log_model is 'yes'"]),
        ("train.recipe", "fsat", ["'fsat'", "did you mean 'fast'"]),
        ("mapping.preset", "city_farm", ["'city_farm'", "did you mean 'city_farmland'"]),
        ("split.fractions.train", 0.8, ["split.fractions", "add to 1.1", "must add to 1"]),
        ("split.fold", 5, ["fold is 5, but folds is 5", "0 to 4"]),
        ("split.fold", -1, ["split.fold is -1"]),
        ("split.folds", 1, ["split.folds is 1"]),
        ("split.buffer_km", -0.5, ["split.buffer_km is -0.5"]),
        ("split.method", "k-fold", ["split.method is 'k-fold'", "did you mean 'kfold'"]),
        ("data.bands", "rgb_nri", ["data.bands is 'rgb_nri'", "did you mean 'rgb_nir'"]),
        ("data.bands", [], ["data.bands"]),
        ("data.bands", [4], ["data.bands"]),
        ("train.normalise", "zscore", ["train.normalise is 'zscore'", "percentiles"]),
        ("data.fraction", 0, ["data.fraction is 0", "greater than 0"]),
        ("data.fraction", 1.5, ["data.fraction is 1.5"]),
        ("recipes.fast.phases", [], ["recipes.fast.phases"]),
        ("evaluate.views", 4, ["evaluate.views is 4, allowed: 1, 8"]),
        ("ensemble.members", ["a", "b", "a"], ["ensemble", "names a twice: leave one of them out"]),
        ("ensemble.members", [""], ["ensemble.members.0 is ''"]),
        ("recipes.two_phase.phases.0.name", "../top", ["recipes.two_phase.phases.0.name is '../top'"]),
        (
            "model.input_adapter",
            "inflat",
            ["model.input_adapter is 'inflat', allowed: auto", "did you mean 'inflate'"],
        ),
        ("recipes.fast.head.hiden", 4, ["'recipes.fast.head.hiden'", "did you mean 'hidden'"]),
        ("model.backbone", "logistic", ["train.recipe is 'fast'", "logistic", "-S train.recipe=classical"]),
        ("train.recipe", "classical", ["model.backbone is 'efficientnet_lite0'", "choose another recipe", "logistic"]),
        ("recipes.classical.augment", "dihedral", ["recipes.classical", "augment", "means nothing"]),
        ("recipes.classical.head.dropout", 0.2, ["recipes.classical", "head", "means nothing"]),
        ("recipes.classical.loss.label_smoothing", 0.1, ["recipes.classical", "loss", "means nothing"]),
        ("recipes.classical.fit.logistic.C", 0, ["recipes.classical.fit.logistic.C is 0", "greater than 0"]),
        ("recipes.classical.fit", None, ["recipes.classical", "phases", "fit"]),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_remedy(
    tmp_path: Path, key: str, value: Any, told: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        params.read(changed(tmp_path, key, value))
    message = str(caught.value)
    assert "\n" not in message
    for part in told:
        assert part in message


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'split\.seed' is missing"):
        params.read(changed(tmp_path, "split.seed", None, delete=True))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    file = changed(tmp_path, "train.lrr", 1)
    file.write_text(file.read_text().replace("source: sample", "source: simple"))
    with pytest.raises(UserError, match=r"data\.source.*train\.lrr"):
        params.read(file)


@pytest.mark.parametrize("text", ["1e-05", "1e-5", "0.00001", "1.0E-05"])
def test_floats_are_read_as_dvc_writes_them(tmp_path: Path, text: str) -> None:
    """YAML 1.1 takes 1e-05 for a string; `dvc exp run -S train.lr=1e-5` writes just that."""
    file = tmp_path / "params.yaml"
    file.write_text((DEFAULTS / "params.yaml").read_text().replace("  lr: null ", f"  lr: {text} "))
    assert params.read(file).train.lr == 1e-5


def test_a_file_that_is_missing_or_not_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="git checkout"):
        params.read(tmp_path / "params.yaml")
    for text in ("a: [1, 2", "just words", "\tx: 1", "- 1\n- 2"):
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(UserError, match=r"params\.yaml"):
            params.read(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="not YAML"):
        params.read(tmp_path / "params.yaml")


def test_overrides_reach_every_phase_and_keep_the_ratio_of_learning_rates(tmp_path: Path) -> None:
    file = changed(tmp_path, "train.lr", 0.02)
    content = yaml.safe_load(file.read_text())
    first = content["recipes"]["fast"]["phases"][0]
    content["recipes"]["fast"]["phases"] = [first | {"lr": 1e-3}, first | {"name": "second", "lr": 1e-4}]
    content["train"] |= {"freeze": "layer3", "scheduler": "cosine", "epochs": 3, "batch_size": 8}
    file.write_text(yaml.safe_dump(content))
    recipe = params.read(file).recipe
    assert [phase.lr for phase in recipe.phases] == pytest.approx([0.02, 0.002])
    assert {(ph.freeze, ph.scheduler, ph.epochs) for ph in recipe.phases} == {("layer3", "cosine", 3)}
    assert recipe.batch_size == 8


def test_nothing_can_be_changed_after_loading() -> None:
    loaded = params.read(DEFAULTS / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        loaded.train.lr = 1.0


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train.freeze", "layer3", "set it to null"),
        ("train.lr", 1e-4, "set it to null"),
        ("train.scheduler", "cosine", "set it to null"),
        ("train.epochs", 3, "set it to null"),
        ("train.batch_size", 3, "set it to null"),
        ("train.augment", "dihedral", "set it to null"),
        ("train.normalise", "tiles", "set it to null"),
        ("train.precision", "bf16", "set it to auto"),
        ("train.compile", True, "set it to false"),
        ("train.keep_phases", True, "set it to false"),
        ("train.frozen_views", 2, "set it to null"),
        ("model.stem", "small", "set it to standard"),
        ("model.pooling", "gem", "set it to avg"),
        ("model.input_adapter", "repeat", "set it to auto"),
        ("model.weights", "weights.pth", "set it to imagenet"),
    ],
)
def test_what_means_nothing_for_a_classical_model_is_refused_by_name(key: str, value: Any, told: str) -> None:
    classical = {"model.backbone": "random_forest", "train.recipe": "classical"}
    path = DEFAULTS / "params.yaml"
    assert params.read(path, classical).recipe.fit
    with pytest.raises(UserError, match=rf"{key} is .*, which means nothing for model.backbone=random_forest: {told}"):
        params.read(path, classical | {key: value})
