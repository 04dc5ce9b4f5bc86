"""`landuse compare` on real DVC experiments, in a small repository whose stages take no time."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from workspace import clean_environment

from landuse import cli

pytestmark = pytest.mark.long

DVC_YAML = """
stages:
  download:
    cmd: python tiles.py
    deps: [tiles.py]
    params: [data]
    outs: [data/tiles]
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, data/tiles]
    params: [mapping, split, data.draw, train, "recipes.${train.recipe}"]
    outs: [data/predictions.csv, reports/evaluate.json]
    metrics: [metrics/evaluate.json: {cache: false}, metrics/train.json: {cache: false}]
"""
PARAMS = """
data: {seed: 7, bands: rgb, layers: [], draw: 0}
mapping: {preset: two}
split: {method: stratified, folds: 2, fold: 0}
train: {recipe: fast, freeze: none, seed: 1, weight: 1.0}
recipes:
  fast: {phases: [{lr: 1.0e-3}]}
  slow: {phases: [{lr: 1.0e-4}]}
unread: 1
"""
TILES = """
import pathlib, yaml
seed = yaml.safe_load(open("params.yaml"))["data"]["seed"]
folder = pathlib.Path("data/tiles")
folder.mkdir(parents=True)
rows = [f"{i},{'CF'[i % 2]}/{i},{'CF'[i % 2]},{seed}{i:04}" for i in range(400)]
(folder / "index.csv").write_text("row,file,class,sha256\\n" + "\\n".join(rows) + "\\n")
"""
EVALUATE = """
import json, pathlib, random, yaml
p = yaml.safe_load(open("params.yaml"))
made_from = {k: v for k, v in p["train"].items() if (k, v) != ("weight", 1.0)}
draw = random.Random(json.dumps(made_from, sort_keys=True) + "+" * p["split"]["fold"])
skill = {"none": 0.95, "layer3": 0.75}[p["train"]["freeze"]]
labels = {"two": ["C", "F"], "renamed": ["City", "Farm"], "broken": "CF"}[p["mapping"]["preset"]]
lines, counts = [f"row,file,class,truth,prediction,correct,p_{labels[0]},p_{labels[1]}"], [[0, 0], [0, 0]]
for i in range(0, 400, 2):
    i = (i + i // 2 % 2) ^ p["split"]["fold"]
    truth = i % 2
    said = truth if draw.random() < skill else 1 - truth
    counts[truth][said] += 1
    sure = 0.5 + random.Random(i).random() / 2
    of = (sure, 1 - sure) if said == 0 else (1 - sure, sure)
    of = ("nan", "") if p["mapping"]["preset"] == "broken" else of
    lines.append(f"{i},{'CF'[truth]}/{i},{'CF'[truth]},{labels[truth]},{labels[said]},{truth == said},{of[0]},{of[1]}")
pathlib.Path("data/predictions.csv").write_text("\\n".join(lines) + "\\n")
(a, b), (c, d) = counts
f1 = (2 * a / (2 * a + b + c) + 2 * d / (2 * d + b + c)) / 2
details = {"accuracy": {"value": (a + d) / 200, "low": 0.125, "high": 0.875}, "macro_f1": {"value": f1}}
test = {name: measure["value"] for name, measure in details.items()}
contents = {"metrics/evaluate": test, "metrics/train": {"val_macro_f1": skill}, "reports/evaluate": details}
for file, found in contents.items():
    pathlib.Path(file).parent.mkdir(exist_ok=True)
    pathlib.Path(file + ".json").write_text(json.dumps(found))
"""


NAMED = {
    "data.bands": "rgb",
    "data.layers": "[]",
    "data.seed": "7",
    "mapping.preset": "two",
    "split.method": "stratified",
    "train.freeze": "none",
    "train.recipe": "fast",
    "train.weight": "1.0",
}
TASK = ("data.seed", "mapping.preset", "split.method")  # of these, what another task is


def named(**changes: str) -> str:
    """The name of a group among all, by what it changes; double underscores are dots."""
    return " ".join(f"{key}={changes.get(key.replace('.', '__'), value)}" for key, value in NAMED.items())


def among_alike(**changes: str) -> str:
    """The name of a group among those of its own task."""
    return " ".join(each for each in named(**changes).split(" ") if each.partition("=")[0] not in TASK)


def git(*words: str) -> str:
    """Run it in the current folder; return what it says."""
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def commit() -> None:
    git("add", "-A")
    git("commit", "-q", "-m", "work")


def run_dvc(*words: str) -> None:
    """Run it in this process, in the current folder: to start another one takes longer than all that it does."""
    import dvc.cli  # each worker of pytest would load it, for this module alone

    assert dvc.cli.main([*words, "-q"]) == 0


def small() -> None:
    """Make the small repository in the current folder, with one commit and no results."""
    files = {"dvc.yaml": DVC_YAML, "params.yaml": PARAMS, "tiles.py": TILES, "evaluate.py": EVALUATE}
    for name, content in files.items():
        Path(name).write_text(content)
    git("init", "-q", "-b", "main")
    run_dvc("init")
    commit()


def experiment(name: str, *changes: str) -> None:
    """Run one from the committed state."""
    run_dvc("exp", "run", "-n", name, *(part for change in changes for part in ("-S", change)))
    git("checkout", "-q", ".")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patched:
        for name in os.environ.keys() - clean_environment().keys():
            patched.delenv(name)
        for name, value in clean_environment().items():
            patched.setenv(name, value)
        yield clean_environment()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """What all tests that only read share."""
    assert "DVC_ROOT" not in environment
    folder = tmp_path_factory.mktemp("experiments")
    with chdir(folder):
        small()
        run_dvc("repro")
        commit()
        git("branch", "unfinished", "HEAD~1")
        experiment("second-seed", "train.seed=2")
        experiment("again", "train.seed=2", "unread=2")  # no stage reads that
        experiment("frozen-1", "train.freeze=layer3")
        experiment("frozen-2", "train.freeze=layer3", "train.seed=2", "data.draw=3")
        experiment(
            "slow", "train.recipe=slow", "data.bands=all", "data.layers=[ndvi,dem]"
        )  # the same tiles in other pixels
        experiment("other-tiles", "data.seed=8")
        experiment("other-labels", "mapping.preset=renamed")
        experiment("light", "train.weight=0.5")
        experiment("broken", "mapping.preset=broken")
        for fold in "01":
            experiment(f"fold-{fold}", "split.method=kfold", f"split.fold={fold}")
        run_dvc("exp", "run", "--queue", "-S", "train.seed=9")
    return folder


@pytest.fixture
def here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repository)
    return repository


class Compare:
    """``landuse compare`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self, *options: str) -> str:
        """What a person sees."""
        self._capsys.readouterr()
        cli.main(["compare", *options])
        return self._capsys.readouterr().out

    def rows(self, *options: str) -> dict[str, dict[str, str]]:
        """Rows of the CSV file, by the names of their experiments."""
        self.text("--csv", "table.csv", *options)
        rows = csv.DictReader(io.StringIO(Path("table.csv").read_text()))
        return {row["experiments"]: row for row in rows}

    def refused(self, *options: str) -> str:
        """The one line of an error."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["compare", *options])
        assert left.value.code == 2
        shown = self._capsys.readouterr()
        assert shown.out == ""
        assert len(shown.err.splitlines()) == 1
        return shown.err


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Compare:
    return Compare(capsys)


def shown_by_dvc() -> dict[str, dict[str, Any]]:
    """Rows of ``dvc exp show``, by name."""
    import dvc.api

    return {row["Experiment"] or row["rev"]: row for row in dvc.api.exp_show()}


@pytest.mark.usefixtures("here")
def test_experiments_are_grouped_and_judged(compare: Compare) -> None:
    rows = compare.rows()
    assert next(iter(rows)) in ("main second-seed", "slow", "light")
    verdicts = {row["settings"]: row["verdict"] for row in rows.values()}
    unreadable = "not comparable: data/predictions.csv holds probabilities that are not numbers, 200 of 200 rows"
    assert verdicts.pop(named(mapping__preset="broken")).startswith(unreadable)
    assert verdicts == {
        among_alike(): "reference",
        among_alike(train__freeze="layer3"): "worse",
        among_alike(train__recipe="slow", data__bands="all", data__layers="[ndvi,dem]"): "tie",
        among_alike(train__weight="0.5"): "tie",
        named(data__seed="8"): "not comparable: other test tiles",
        named(mapping__preset="renamed"): "not comparable: other labels",
        named(split__method="kfold"): "not comparable: other test tiles: other folds",
    }
    light = rows["light"]  # one seed: the interval over tiles, of the details in DVC's cache
    assert (light["accuracy_low"], light["accuracy_high"], light["macro_f1_low"]) == ("0.125", "0.875", "")
    frozen = next(row for names, row in rows.items() if "frozen-1" in names)
    reference = next(row for row in rows.values() if row["verdict"] == "reference")
    assert frozen["seeds"] == reference["seeds"] == "2"
    folds = next(row for names, row in rows.items() if "fold-1" in names)
    assert (folds["folds"], folds["seeds"], folds["macro_f1_over"]) == ("2", "1", "folds")
    gap = float(frozen["macro_f1"]) - float(reference["macro_f1"])
    assert float(frozen["macro_f1_difference"]) == pytest.approx(gap)
    assert float(frozen["macro_f1_difference_low"]) < gap < float(frozen["macro_f1_difference_high"]) < 0


@pytest.mark.usefixtures("here")
def test_values_are_those_of_dvc_exp_show(compare: Compare) -> None:
    theirs = shown_by_dvc()
    for names, row in compare.rows().items():
        for metric in ("accuracy", "macro_f1"):
            values = [float(theirs[name][metric]) for name in names.split()]
            assert float(row[metric]) == pytest.approx(sum(values) / len(values))
            if len(values) == 2:
                assert float(row[f"{metric}_deviation"]) == pytest.approx(abs(values[0] - values[1]) / 2**0.5, abs=1e-9)


@pytest.mark.usefixtures("here")
def test_a_person_gets_a_table_that_fits_and_the_same_one_twice(compare: Compare) -> None:
    shown = compare.text()
    assert max(map(len, shown.splitlines())) <= 120
    assert "the best on the validation tiles (macro-F1 95.00 %)" in " ".join(shown.split())
    assert "Left out: 1 of the same settings and seed as another, 1 queued." in shown
    assert compare.text() == shown
    assert git("status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.usefixtures("here")
def test_another_reference_can_be_named_and_a_wrong_name_is_one_line(compare: Compare) -> None:
    assert compare.rows("--to", "frozen-2")["slow"]["verdict"] == "better"
    assert compare.rows("--to", "other-tiles")["slow"]["verdict"] == "not comparable: other test tiles"
    assert "did you mean 'frozen-" in compare.refused("--to", "frozen-3")


def test_predictions_that_are_absent_or_damaged_are_a_reason(here: Path, compare: Compare) -> None:
    import dvc.api

    digest = dvc.api.DVCFileSystem(rev="slow").info("data/predictions.csv")["md5"]
    cached = here / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.rename(cached.with_suffix(".away"))
    try:
        row = compare.rows()["slow"]
        assert row["verdict"] == "not comparable: data/predictions.csv is not in DVC's cache (try dvc pull)"
        assert float(row["accuracy"]) > 0.9
        refused = compare.refused("--to", "slow")
        assert "cannot be the reference: data/predictions.csv is not in DVC's cache" in refused
        cached.write_bytes(cached.with_suffix(".away").read_bytes()[:-100])
        assert compare.rows()["slow"]["verdict"] == (
            f"not comparable: {cached} of DVC's cache is damaged: remove it, then try dvc pull or dvc repro -f"
        )
    finally:
        cached.with_suffix(".away").rename(cached)


@pytest.mark.usefixtures("here")
def test_a_result_older_than_what_it_depends_on_is_left_out(compare: Compare) -> None:
    run_dvc("exp", "run", "-n", "half", "-S", "data.seed=9", "download")
    git("checkout", "-q", ".")
    try:
        shown = compare.text()
        assert "1 older than what they depend on" in shown
        assert "data.seed=9" not in shown
    finally:
        head = git("rev-parse", "HEAD").strip()  # what lies in the folders now is not what dvc.lock says
        assert "Both predict the same label" in compare.text(head, "workspace")
        run_dvc("exp", "remove", "half")


@pytest.mark.usefixtures("here")
def test_two_revisions_are_compared_and_reported(compare: Compare) -> None:
    shown = compare.text("main", "frozen-1", "--report", "report.md", "--csv", "tiles.csv")
    assert "MAIN IS BETTER THAN FROZEN-1" in shown
    report = Path("report.md").read_text()
    assert report.startswith("## frozen-1 against main\n\n**main is better than frozen-1.**")
    assert "| train.freeze | none   | layer3     |" in report
    tiles = list(csv.DictReader(io.StringIO(Path("tiles.csv").read_text())))
    broken, fixed = (sum(tile["change"] == change for tile in tiles) for change in ("broken", "fixed"))
    assert f"Changed tiles: {fixed} fixed, {broken} broken" in shown
    main, frozen = (shown_by_dvc()[name]["accuracy"] for name in ("main", "frozen-1"))
    assert broken - fixed == round(200 * (main - frozen))
    head = git("rev-parse", "--short", "HEAD").strip()
    assert "Both predict the same label" in compare.text(head, "workspace")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["main", "frozn-1"], "no revision or experiment 'frozn-1'; did you mean 'frozen-1'"),
        (["main", "HEAD"], "'main' and 'HEAD' are the same revision"),
        (["main", "other-tiles"], "cannot be paired: their test tiles differ, 200 of 200 are in the first alone"),
        (["main", "other-labels"], "cannot be paired: their labels differ, C, F in the first alone, City, Farm in"),
        (["main", "unfinished"], "'unfinished' is no finished result (without test metrics): run 'dvc repro' there"),
        (
            ["main", "broken"],
            "'broken' cannot be compared: data/predictions.csv holds probabilities that are not numbers",
        ),
        (["main"], "compare takes two revisions or none, not 1"),
        (["main", "slow", "--by", "data.fraction"], "name no revisions with them"),
        (["--by", "data.sed"], "no finished experiment has a number for 'data.sed'; did you mean 'data.seed'?"),
        (["--by", "data.seed"], "no finished experiments on the same test tiles differ in data.seed alone"),
    ],
)
def test_what_cannot_be_compared_is_one_line(compare: Compare, arguments: list[str], told: str) -> None:
    assert told in compare.refused(*arguments)


@pytest.mark.usefixtures("here")
def test_experiments_over_a_param_become_a_picture_and_a_table(compare: Compare) -> None:
    shown = compare.text("--by", "train.weight")
    assert "from train.weight=0.5 on, no result can be told apart from that of 1.0" in shown
    assert "written: plots/by_train.weight.png, plots/by_train.weight.csv" in shown
    table = list(csv.DictReader(io.StringIO(Path("plots/by_train.weight.csv").read_text())))
    assert [row["train.weight"] for row in table] == ["0.5", "1"]
    assert table[1]["seeds"] == "2"
    assert Path("plots/by_train.weight.png").stat().st_size > 10_000


@pytest.mark.usefixtures("environment")
def test_without_experiments_one_line_says_how_to_make_some(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small()
    told = "no finished experiment starts from this commit: make one with 'dvc exp run -S train.freeze=layer3'\n"
    assert compare.refused() == f"landuse: error: {told}"
    experiment("first", "train.freeze=layer3")  # the commit itself has no results
    assert list(compare.rows()) == ["first"]


def test_outside_of_a_repository_one_line_says_so(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no dvc.yaml here or above: run from inside the repository" in compare.refused()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    assert "no experiments to read: you are not inside of a DVC repository" in compare.refused()


def test_it_needs_no_torch() -> None:
    code = "import sys; from landuse.comparison import curve, pair_report, ranking; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("here")
def test_the_command_in_a_process_of_its_own() -> None:
    landuse = Path(sys.executable).with_name("landuse")
    done = subprocess.run([landuse, "compare", "main", "workspaec"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    expected = "landuse: error: no revision or experiment 'workspaec'; did you mean 'workspace'?\n"
    assert done.stderr == expected
