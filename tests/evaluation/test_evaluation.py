"""What the stage evaluate measures and writes."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trained
import yaml
from conftest import DEFAULTS, ROOT
from safetensors.torch import load_file, save_file

from landuse import params
from landuse.core.errors import UserError
from landuse.core.results import Trained
from landuse.evaluation import scores
from landuse.model import baselines
from landuse.prediction import stage as prediction
from landuse.spec.answers import Answers
from landuse.tiles.store import TileStore
from stages import evaluate

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
SETTINGS = params.read(DEFAULTS / "params.yaml").evaluate.model_copy(update={"bootstrap": 200})


def world(count: int = 120) -> tuple[TileStore, pd.DataFrame]:
    """Tiles whose brightness tells their class, and a split of them."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 2
    images = (rng.normal(90, 25, (count, 8, 8, 3)) + 30 * targets[:, None, None, None]).clip(0, 255).astype(np.uint8)
    split = pd.DataFrame({"row": range(count), "target": targets})
    split["class"] = np.where(targets, "Pasture", np.where(split["row"] % 4 == 0, "Highway", "Industrial"))
    split["label"] = np.where(targets, "Farmland", "City")
    split["file"] = split["class"] + "/" + split["row"].astype(str)
    split["split"] = np.where(split["row"] < 60, "train", np.where(split["row"] < 80, "val", "test"))
    return TileStore(images, split, {}), split


def probabilities(truth: np.ndarray, errors: int) -> np.ndarray:
    right = np.eye(2)[truth] * 0.8 + 0.1
    right[:errors] = right[:errors, ::-1]
    return right


def measured(store: TileStore, split: pd.DataFrame, shares: np.ndarray) -> dict[str, Any]:
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    guesses = {
        "majority": baselines.majority(train, test),
        "band_statistics": baselines.band_statistics(store.images, train, test),
    }
    return scores.measure(SETTINGS, test, shares, guesses, ["City", "Farmland"])


def test_the_report_holds_what_a_person_compares() -> None:
    store, split = world()
    truth = split.loc[split["split"] == "test", "target"].to_numpy()
    report = measured(store, split, probabilities(truth, 3))
    json.dumps(report, allow_nan=False)
    assert (report["n"], report["errors"]) == (40, 3)
    assert report["accuracy"]["value"] == pytest.approx(37 / 40)
    for name in ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "roc_auc"):
        assert report[name]["low"] < report[name]["value"] < report[name]["high"] <= 1
    assert {name: found["n"] for name, found in report["labels"].items()} == {"City": 20, "Farmland": 20}
    assert sum(found["n"] for found in report["classes"].values()) == 40
    assert set(report["classes"]) == {"Highway", "Industrial", "Pasture"}
    assert report["baselines"]["majority"]["accuracy"]["value"] == 0.5
    gain = report["baselines"]["majority"]["gain"]
    assert gain["value"] == pytest.approx(37 / 40 - 0.5) and 0 < gain["low"] < gain["value"] < gain["high"]
    assert report["baselines"]["band_statistics"]["accuracy"]["value"] > 0.9
    again = measured(store, split, probabilities(truth, 3))
    assert again == report


def test_a_test_split_without_one_of_the_labels_is_reported_with_nulls() -> None:
    store, split = world()
    split = split[(split["split"] != "test") | (split["target"] == 0)]
    truth = split.loc[split["split"] == "test", "target"].to_numpy()
    report = measured(store, split, probabilities(truth, 1))
    assert report["roc_auc"] == {"value": None, "low": None, "high": None}
    assert report["labels"]["Farmland"]["recall"]["value"] is None
    json.dumps(report, allow_nan=False)


def test_baselines_learn_from_the_training_tiles_alone() -> None:
    store, split = world()
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    assert baselines.majority(train[train["target"] == 1], test).tolist() == [1] * 40
    turned = train.assign(target=1 - train["target"])
    guess = baselines.band_statistics(store.images, turned, test)
    assert np.mean(guess == test["target"]) < 0.1


def test_band_statistics_see_deviations_and_not_means_alone() -> None:
    _, split = world()
    rng = np.random.default_rng(0)
    spread = 10 + 30 * split["target"].to_numpy()
    images = (128 + rng.choice([-1, 1], (len(split), 8, 8, 3)) * spread[:, None, None, None]).astype(np.uint8)
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    assert np.mean(baselines.band_statistics(images, train, test) == test["target"]) == 1


def test_training_tiles_of_one_label_are_refused() -> None:
    store, split = world()
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    with pytest.raises(UserError, match="one label only"):
        baselines.band_statistics(store.images, train[train["target"] == 0], test)


def test_weights_that_need_the_rounding_they_learnt_with_are_told_of() -> None:
    """By more than two standard errors: 0.5 points of 5,400 tiles, 12 of 36."""

    def found(before: float, now: float, tiles: int, precision: str = "bf16") -> Any:
        targets = np.zeros(tiles, np.int64)
        logits = np.tile(np.float32([1, 0]), (tiles, 2, 8, 1))
        logits[round(now * tiles) :, 0, 0] = [0, 1]  # the first network, by its first view
        flat = np.zeros((tiles, 1), np.float32)
        trained = Trained(epochs=5, best_epoch=4, val_loss=0.1, val_accuracy=before, val_macro_f1=before)
        return scores.rounding(Answers(targets, targets, logits, flat, flat), precision, trained)

    told = found(0.970, 0.954, 5400)
    assert (told["verdict"], told["epoch"]) == ("warning", 4)
    assert told["measured"] == {"val_accuracy": 0.970, "in_float32": pytest.approx(0.954, abs=1e-3)}
    assert "train.precision=fp32" in told["cause"]
    for well in ((0.970, 0.967, 5400), (0.95, 0.96, 5400), (0.86, 0.78, 36)):
        assert found(*well)["verdict"] == "ok"
    assert found(0.970, 0.954, 5400, "fp32") is None


@pytest.fixture
def workspace(
    built: trained.Workspace, fresh_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> trained.Workspace:
    """A small trained model with its tiles; MLflow gets a database of its own."""
    shutil.copytree(built.path, tmp_path, dirs_exist_ok=True)
    shutil.copy(fresh_database, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return replace(built, path=tmp_path)


def outputs(folder: Path) -> dict[str, bytes]:
    named = ["data/predictions.csv", "metrics/evaluate.json", "models/calibration.json"]
    named += ["reports/evaluate.json", "reports/curves.csv"]
    files = [*(folder / name for name in named), *(folder / "models/answers").glob("*"), *(folder / "plots").glob("*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.long
def test_the_stage_measures_the_test_tiles_in_the_same_bytes(workspace: trained.Workspace) -> None:
    settings = params.load("evaluate")
    evaluate(settings)
    first = outputs(workspace.path)
    assert set(DVC["stages"]["evaluate"]["outs"]) - {"models/answers"} <= first.keys()
    answers = {Path(name).name for name in first if name.startswith("models/answers/")}
    assert answers == {"val.npz", "test.npz", "aside.npz", "baselines.npz", "members.json"}
    evaluate(settings)
    assert outputs(workspace.path) == first
    table = pd.read_csv("data/predictions.csv")
    report = json.loads(Path("reports/evaluate.json").read_text())
    split = pd.read_csv("data/split.csv")
    assert table["row"].tolist() == split.loc[split["split"] == "test", "row"].tolist()
    assert list(table)[:6] == ["row", "file", "class", "truth", "prediction", "correct"]
    chance = table[["p_City", "p_Farmland"]].to_numpy()
    assert np.allclose(chance.sum(axis=1), 1)
    assert (table["prediction"] == np.take(["City", "Farmland"], chance.argmax(axis=1))).all()
    assert report["accuracy"]["value"] == pytest.approx(table["correct"].mean(), abs=1e-6)


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_the_metrics_of_dvc_are_a_few_numbers_out_of_the_report() -> None:
    evaluate(params.load("evaluate"))
    compared, report = (json.loads(Path(f"{folder}/evaluate.json").read_text()) for folder in ("metrics", "reports"))
    assert len(compared) <= 9
    calibrated = report["calibration"]["after"]
    assert (compared.pop("ece"), compared.pop("nll")) == (calibrated["ece"]["value"], calibrated["nll"]["value"])
    assert (compared.pop("accuracy_low"), compared.pop("accuracy_high")) == (
        report["accuracy"]["low"],
        report["accuracy"]["high"],
    )
    assert compared == {name: report[name]["value"] for name in compared}
    assert {"accuracy", "macro_f1"} <= compared.keys()


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_the_report_has_all_sections(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(params.load("evaluate"))
    report = json.loads(Path("reports/evaluate.json").read_text())
    assert report["rounding"]["verdict"] == "warning"  # it never learnt what metrics/train.json says
    assert f"warning (rounding): {report['rounding']['cause']}" in capsys.readouterr().out
    split = pd.read_csv("data/split.csv")
    assert report["ood"]["n"] == (split["split"] == "aside").sum()
    assert set(report["ood"]["classes"]) == {"Forest"}
    assert report["views"] is None
    assert report["ensemble"] is None
    kept = pd.read_csv("data/predictions.csv").filter(like="p_").max(axis=1) >= report["abstention"]["threshold"]
    assert report["abstention"]["coverage"]["value"] == pytest.approx(kept.mean(), abs=1e-6)


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(("method", "judged_on"), [("stratified", "in parts of"), ("spatial", "in regions of")])
def test_scaling_must_carry_over_where_the_split_keeps_places_apart(method: str, judged_on: str) -> None:
    index = pd.read_csv("data/tiles/index.csv")
    rng = np.random.default_rng(0)
    places = {"latitude": rng.uniform(40, 60, len(index)), "longitude": rng.uniform(0, 30, len(index))}
    index.assign(**places).to_csv("data/tiles/index.csv", index=False)
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["split"]["method"] = method
    Path("params.yaml").write_text(yaml.safe_dump(content))
    evaluate(params.load("evaluate"))
    assert judged_on in json.loads(Path("reports/evaluate.json").read_text())["calibration"]["reason"]


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_so_many_strangers_are_asked_as_params_allow() -> None:
    settings = params.load("evaluate")
    few = settings.evaluate.model_copy(update={"ood_tiles": 7, "bootstrap": 100})
    evaluate(settings.model_copy(update={"evaluate": few}))
    assert json.loads(Path("reports/evaluate.json").read_text())["ood"]["n"] == 7


@pytest.mark.long
def test_an_ensemble_is_measured_beside_its_members(workspace: trained.Workspace) -> None:
    other = workspace.path / "elsewhere"
    shutil.copytree(workspace.path / "models/model", other)
    weights = load_file(other / "weights.safetensors")
    turned = {name: -tensor if name.startswith("head") else tensor for name, tensor in weights.items()}
    save_file(turned, other / "weights.safetensors")
    settings = params.load("evaluate")
    evaluate(settings.model_copy(update={"ensemble": params.Ensemble(members=["elsewhere"])}))
    report = json.loads(Path("reports/evaluate.json").read_text())
    found = report["ensemble"]
    assert len(found["members"]) == 2
    gain = report["accuracy"]["value"] - found["members"][0]["accuracy"]["value"]
    assert found["gain"]["value"] == pytest.approx(gain, abs=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_the_gain_of_eight_views_is_measured_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_ASKED", 30)
    settings = params.load("evaluate")
    evaluate(settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"views_gain": True})}))
    found = json.loads(Path("reports/evaluate.json").read_text())["views"]
    assert (found["n"], found["tiles"]) == (8, 30)
    assert found["gain"]["low"] <= found["gain"]["value"] <= found["gain"]["high"]
    assert json.loads(Path("models/calibration.json").read_text())["views"] == 1


@pytest.mark.long
@pytest.mark.usefixtures("workspace")
def test_views_change_how_sure_the_model_is() -> None:
    settings = params.load("evaluate")
    evaluate(settings)
    before = pd.read_csv("data/predictions.csv")
    evaluate(settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"views": 8})}))
    after = pd.read_csv("data/predictions.csv")
    assert (before["file"] == after["file"]).all()
    assert (before["p_City"] - after["p_City"]).abs().max() > 1e-3
    assert json.loads(Path("models/calibration.json").read_text())["views"] == 8
    assert json.loads(Path("reports/evaluate.json").read_text())["views"]["tiles"] == len(after)


@pytest.mark.long
def test_a_model_that_predicts_no_numbers_is_refused_and_nothing_is_written(workspace: trained.Workspace) -> None:
    file = workspace.path / "models/model/weights.safetensors"
    weights = load_file(file)
    save_file({name: tensor * float("nan") if "head" in name else tensor for name, tensor in weights.items()}, file)
    before = outputs(workspace.path)
    with pytest.raises(UserError, match="not numbers"):
        evaluate(params.load("evaluate"))
    assert outputs(workspace.path) == before


@pytest.mark.long
def test_numbers_about_answers_need_neither_torch_nor_a_model() -> None:
    code = (
        "import sys, landuse.evaluation.stage; "
        "sys.exit(bool({'torch', 'landuse.model', 'landuse.prediction'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
