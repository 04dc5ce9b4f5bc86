"""`landuse compare` on real DVC experiments, in a small repository whose stages take no time."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
from workspace import Workspace

from landuse import cli

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
    params: [mapping, split, train, "recipes.${train.recipe}"]
    outs: [data/predictions.csv, reports/evaluate.json]
    metrics: [metrics/evaluate.json: {cache: false}, metrics/train.json: {cache: false}]
"""
PARAMS = """
data: {seed: 7, bands: rgb}
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
    "data.seed": "7",
    "mapping.preset": "two",
    "split.method": "stratified",
    "train.freeze": "none",
    "train.recipe": "fast",
    "train.weight": "1.0",
}


def named(**changes: str) -> str:
    """The name of a group, by what it changes; double underscores are dots."""
    return " ".join(f"{key}={changes.get(key.replace('.', '__'), value)}" for key, value in NAMED.items())


def commit(workspace: Workspace) -> None:
    workspace.run("git", "add", "-A")
    workspace.run("git", "commit", "-q", "-m", "work")


def small(folder: Path) -> Workspace:
    """The small repository, with one commit and no results."""
    files = {"dvc.yaml": DVC_YAML, "params.yaml": PARAMS, "tiles.py": TILES, "evaluate.py": EVALUATE}
    for name, content in files.items():
        (folder / name).write_text(content)
    workspace = Workspace(folder)
    workspace.run("git", "init", "-q", "-b", "main")
    workspace.run("dvc", "init", "-q")
    commit(workspace)
    return workspace


def experiment(workspace: Workspace, name: str, *changes: str) -> None:
    """Run one from the committed state."""
    workspace.run("dvc", "exp", "run", "-q", "-n", name, *(part for change in changes for part in ("-S", change)))
    workspace.run("git", "checkout", "-q", ".")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = small(tmp_path_factory.mktemp("experiments"))
    workspace.run("dvc", "repro", "-q")
    commit(workspace)
    workspace.run("git", "branch", "unfinished", "HEAD~1")
    experiment(workspace, "second-seed", "train.seed=2")
    experiment(workspace, "again", "train.seed=2", "unread=2")  # no stage reads that
    experiment(workspace, "frozen-1", "train.freeze=layer3")
    experiment(workspace, "frozen-2", "train.freeze=layer3", "train.seed=2")
    experiment(workspace, "slow", "train.recipe=slow", "data.bands=all")  # the same tiles in other pixels
    experiment(workspace, "other-tiles", "data.seed=8")
    experiment(workspace, "other-labels", "mapping.preset=renamed")
    experiment(workspace, "light", "train.weight=0.5")
    experiment(workspace, "broken", "mapping.preset=broken")
    for fold in "01":
        experiment(workspace, f"fold-{fold}", "split.method=kfold", f"split.fold={fold}")
    workspace.run("dvc", "exp", "run", "-q", "--queue", "-S", "train.seed=9")
    return workspace


def compared(workspace: Workspace, *options: str) -> dict[str, dict[str, str]]:
    """Rows of the CSV file, by the names of their experiments."""
    workspace.run("landuse", "compare", "--csv", "table.csv", *options)
    rows = csv.DictReader(io.StringIO((workspace.path / "table.csv").read_text()))
    return {row["experiments"]: row for row in rows}


@pytest.mark.long
def test_experiments_are_grouped_and_judged(workspace: Workspace) -> None:
    rows = compared(workspace)
    assert next(iter(rows)) in ("main second-seed", "slow", "light")
    verdicts = {row["settings"]: row["verdict"] for row in rows.values()}
    unreadable = "not comparable: data/predictions.csv holds probabilities that are not numbers, 200 of 200 rows"
    assert verdicts.pop(named(mapping__preset="broken")).startswith(unreadable)
    assert verdicts == {
        named(): "reference",
        named(train__freeze="layer3"): "worse",
        named(train__recipe="slow", data__bands="all"): "tie",
        named(train__weight="0.5"): "tie",
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


@pytest.mark.long
def test_values_are_those_of_dvc_exp_show(workspace: Workspace) -> None:
    shown = csv.DictReader(io.StringIO(workspace.run("dvc", "exp", "show", "--csv", "--hide-workspace").stdout))
    theirs = {row["Experiment"] or row["rev"]: row for row in shown}
    for names, row in compared(workspace).items():
        for metric in ("accuracy", "macro_f1"):
            values = [float(theirs[name][metric]) for name in names.split()]
            assert float(row[metric]) == pytest.approx(sum(values) / len(values))
            if len(values) == 2:
                assert float(row[f"{metric}_deviation"]) == pytest.approx(abs(values[0] - values[1]) / 2**0.5, abs=1e-9)


@pytest.mark.long
def test_a_person_gets_a_table_in_seconds_and_the_same_one_twice(workspace: Workspace) -> None:
    started = time.monotonic()
    shown = workspace.run("landuse", "compare").stdout
    assert time.monotonic() - started < 8
    assert max(map(len, shown.splitlines())) <= 120
    assert "the best on the validation tiles (macro-F1 95.00 %)" in " ".join(shown.split())
    assert "Left out: 1 of the same settings and seed as another, 1 queued." in shown
    assert workspace.run("landuse", "compare").stdout == shown
    assert workspace.run("git", "status", "--porcelain", "--untracked-files=no").stdout == ""


@pytest.mark.long
def test_another_reference_can_be_named_and_a_wrong_name_is_one_line(workspace: Workspace) -> None:
    assert compared(workspace, "--to", "frozen-2")["slow"]["verdict"] == "better"
    assert compared(workspace, "--to", "other-tiles")["slow"]["verdict"] == "not comparable: other test tiles"
    wrong = workspace.run("landuse", "compare", "--to", "frozen-3", ok=False)
    assert wrong.returncode == 2
    assert "did you mean 'frozen-" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.long
def test_predictions_that_are_not_in_the_cache_are_a_reason(workspace: Workspace) -> None:
    listed = json.loads(workspace.run("dvc", "exp", "show", "--json").stdout)
    slow = next(each for each in listed[1]["experiments"] if each["name"] == "slow")
    digest = slow["revs"][0]["data"]["outs"]["data/predictions.csv"]["hash"]
    cached = workspace.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.rename(cached.with_suffix(".away"))
    try:
        row = compared(workspace)["slow"]
        assert row["verdict"] == "not comparable: data/predictions.csv is not in DVC's cache (try dvc pull)"
        assert float(row["accuracy"]) > 0.9
        refused = workspace.run("landuse", "compare", "--to", "slow", ok=False)
        assert refused.returncode == 2
        assert "cannot be the reference: data/predictions.csv is not in DVC's cache" in refused.stderr
    finally:
        cached.with_suffix(".away").rename(cached)


@pytest.mark.long
def test_a_result_older_than_what_it_depends_on_is_left_out(workspace: Workspace) -> None:
    workspace.run("dvc", "exp", "run", "-q", "-n", "half", "-S", "data.seed=9", "download")
    workspace.run("git", "checkout", "-q", ".")
    try:
        shown = workspace.run("landuse", "compare").stdout
        assert "1 older than what they depend on" in shown
        assert "data.seed=9" not in shown
    finally:
        workspace.run("dvc", "exp", "remove", "half")


@pytest.mark.long
def test_two_revisions_are_compared_and_reported(workspace: Workspace) -> None:
    shown = workspace.run(
        "landuse", "compare", "main", "frozen-1", "--report", "report.md", "--csv", "tiles.csv"
    ).stdout
    assert "MAIN IS BETTER THAN FROZEN-1" in shown
    report = (workspace.path / "report.md").read_text()
    assert report.startswith("## frozen-1 against main\n\n**main is better than frozen-1.**")
    assert "| train.freeze | none   | layer3     |" in report
    tiles = list(csv.DictReader(io.StringIO((workspace.path / "tiles.csv").read_text())))
    broken, fixed = (sum(tile["change"] == change for tile in tiles) for change in ("broken", "fixed"))
    assert f"Changed tiles: {fixed} fixed, {broken} broken" in shown
    show = csv.DictReader(io.StringIO(workspace.run("dvc", "exp", "show", "--csv", "--hide-workspace").stdout))
    accuracy = {row["Experiment"] or row["rev"]: float(row["accuracy"] or 0) for row in show}
    assert broken - fixed == round(200 * (accuracy["main"] - accuracy["frozen-1"]))
    head = workspace.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    assert "Both predict the same label" in workspace.run("landuse", "compare", head, "workspace").stdout


@pytest.mark.long
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
def test_what_cannot_be_compared_is_one_line(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(workspace.path)
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", *arguments])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


@pytest.mark.long
def test_experiments_over_a_param_become_a_picture_and_a_table(workspace: Workspace) -> None:
    shown = workspace.run("landuse", "compare", "--by", "train.weight").stdout
    assert "from train.weight=0.5 on, no result can be told apart from that of 1.0" in shown
    assert "written: plots/by_train.weight.png, plots/by_train.weight.csv" in shown
    table = list(csv.DictReader(io.StringIO((workspace.path / "plots/by_train.weight.csv").read_text())))
    assert [row["train.weight"] for row in table] == ["0.5", "1"]
    assert table[1]["seeds"] == "2"
    assert (workspace.path / "plots/by_train.weight.png").stat().st_size > 10_000


def test_without_experiments_one_line_says_how_to_make_some(tmp_path: Path) -> None:
    workspace = small(tmp_path)
    none = workspace.run("landuse", "compare", ok=False)
    assert none.returncode == 2
    assert none.stderr.splitlines() == [
        "landuse: error: no finished experiment starts from this commit: make one with "
        "'dvc exp run -S train.freeze=layer3'"
    ]
    experiment(workspace, "first", "train.freeze=layer3")  # the commit itself has no results
    assert list(compared(workspace)) == ["first"]


def test_outside_of_a_dvc_repository_one_line_says_so(tmp_path: Path) -> None:
    nowhere = Workspace(tmp_path).run("landuse", "compare", ok=False)
    assert nowhere.returncode == 2
    assert len(nowhere.stderr.splitlines()) == 1
    assert "not inside of a DVC repository" in nowhere.stderr


def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys; import landuse.comparison; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    Workspace(tmp_path).run("python", "-c", code)
