"""The landuse command: instant help, a summary a person can read, one line for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from conftest import ROOT

import landuse.summary
from landuse import cli, tracking

HEAVY = {"torch", "mlflow", "pandas", "numpy", "pydantic", "yaml", "rasterio", "requests"}


def measure(value: float | None) -> dict[str, float | None]:
    around = (None, None) if value is None else (value - 0.01, value + 0.005)
    return {"value": value, "low": around[0], "high": around[1]}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the results that the summary reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    baselines = {
        "majority": {"accuracy": measure(0.5), "macro_f1": measure(0.3333), "gain": measure(0.49)},
        "band_statistics": {"accuracy": measure(0.87), "macro_f1": measure(0.86), "gain": measure(0.12)},
    }
    found = {
        "confidence": 0.95,
        "n": 2325,
        "accuracy": measure(0.9912),
        "macro_f1": measure(0.99),
        "baselines": baselines,
    }
    model = {"backbone": "resnet50", "classes": ["City", "Farmland"], "source": "sample"}
    for name, content in {"reports/evaluate.json": found, "models/model/model.json": model}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def change(file: Path, **facts: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def summary(capsys: pytest.CaptureFixture[str]) -> str:
    cli.main(["summary"])
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    shown = capsys.readouterr()
    assert caught.value.code == 2
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("landuse: error: ")
    return shown.err


@pytest.mark.usefixtures("results")
def test_the_summary_tells_how_good_where_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    text = summary(capsys)
    assert "City or Farmland: resnet50, 2,325 test tiles of sample" in text
    assert "accuracy, 95 % interval" in text
    assert "macro-F1, 95 % interval" in text
    model, majority, bands = (
        next(line for line in text.splitlines() if line.strip().startswith(name))
        for name in ("this model", "majority", "band statistics")
    )
    assert "0.9912 (0.9812-0.9962)" in model
    assert "0.9900 (0.9800-0.9950)" in model
    assert "0.5000 (" in majority
    assert "0.8700 (" in bands
    for place in ("plots/", "metrics/", "reports/evaluate.json", "data/predictions.csv", "models/export/model.onnx"):
        assert place in text
    for line in (
        "mlflow ui",
        "dvc exp run -S train.lr=1e-4",
        "landuse compare",
        "dvc exp run -S data.source=eurosat_rgb",
    ):
        assert line in text
    assert landuse.summary.EXPERIMENTS in text
    assert "simulated" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_summary_of_real_tiles_does_not_speak_of_simulated_ones(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(results / "models/model/model.json", source="eurosat_rgb", classes=list("abcdefghij"))
    text = summary(capsys)
    assert "simulated" not in text
    assert "data.source=eurosat_rgb" not in text
    assert "10 classes" in text


def test_the_summary_of_an_undefined_measure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(results / "reports/evaluate.json", macro_f1=measure(None))
    assert "undefined" in summary(capsys)


@pytest.mark.parametrize("missing", ["reports/evaluate.json", "models/model/model.json"])
def test_no_results_yet(results: Path, capsys: pytest.CaptureFixture[str], missing: str) -> None:
    (results / missing).unlink()
    stage = {"reports/evaluate.json": "evaluate", "models/model/model.json": "train"}[missing]
    assert f"no {missing}: run 'dvc repro {stage}' first" in refused(capsys, "summary")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sumary"], "no command 'sumary'; did you mean 'summary'?"),
        (
            ["xyz"],
            "known: area, cache, change, compare, lr-find, map, predict, repair, sample, scene, speed, summary, "
            "track, tune, view",
        ),
        (["scene"], "OUT; see 'landuse scene --help'"),
        (["scene", "out", "--size", "7"], "7 pixels: give"),
        (["scene", "out", "--seed", "x"], "--seed: 'x' is no whole number: give 0 to 4294967295"),
        (["scene", "out", "--seed", "-1"], "--seed: -1: give 0 to 4294967295"),
        (["scene", "out", "--seed", "9" * 999], "--seed: 9999"),
        (["scene", "out", "--size", "21961"], "21961 pixels: give 64 to 21960"),
        (["scene", "out", "--after", "1.5"], "argument --after: '1.5': give a share, 0 to 1"),
        (["scene", "out", "--city", "-1"], "argument --city: '-1': give a share, 0 to 1"),
        (["scene", "out", "--size", "64", "--city", "1", "--after", "0.1"], "no farmland that could become city"),
        (["scene", "."], ". is there already"),
        (["scene", ""], "argument OUT: the name of a file has 1 to 255 bytes"),
        (["compare", "--csv", "x" * 300], "argument --csv: the name of a file has 1 to 255 bytes"),
        (["compare", "x" * 5000, "workspace"], "more than 1000 letters"),
        (["lr-find", "-S", "train.lr=2020-13-45"], "the value is not YAML"),
        (["lr-find", "-S", "train.cache=false"], "no key 'train.cache'; did you mean 'runtime.cache'?"),
        (["summary", "--verbose"], "--verbose"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert told in refused(capsys, *arguments)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([])
    text = capsys.readouterr().out
    assert all(command in text for command in ("summary", "track", "scene"))
    cli.main(["--version"])
    assert capsys.readouterr().out.startswith("landuse 0.")


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from landuse import cli; cli.main(['--help'])"
    probe = f"import atexit, sys; atexit.register(lambda: print(sorted({HEAVY!r} & set(sys.modules)))); {code}"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_track_says_which_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tracking, "track", lambda log_model, register: f"fast-resnet50-{log_model}-{register}")
    cli.main(["track"])
    assert "fast-resnet50-False" in capsys.readouterr().out


def test_a_scene_is_written_with_its_land_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["scene", str(tmp_path / "out"), "--seed", "3", "--size", "300"])
    with rasterio.open(tmp_path / "out/scene.tif") as scene, rasterio.open(tmp_path / "out/land_use.tif") as land:
        assert (scene.width, scene.height, scene.count, scene.dtypes[0]) == (300, 300, 13, "uint16")
        assert (land.shape, land.crs, land.transform) == (scene.shape, scene.crs, scene.transform)
        assert len(set(land.read(1).ravel().tolist())) > 1
    assert f"wrote {tmp_path}/out/land_use.tif, {tmp_path}/out/scene.tif" in capsys.readouterr().out
