"""Who may answer together: networks of folders, phases and revisions that were asked the same question."""

import json
from pathlib import Path

import pytest
import torch
from trained import network, spec
from workspace import Workspace

from landuse.core.errors import UserError
from landuse.model import saved
from landuse.prediction import members
from landuse.spec.model import ModelSpec

LAYER = {"name": "B02", "scale": 0.5, "offset": 1.0, "units": "m", "resampling": "nearest", "of": "B02"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The current folder, with a small RGB model of a recipe with two phases in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    settings = {"recipe.phases.0.name": "head", "recipe.phases.0.input_size": 24, "recipe.phases.1.name": "all"}
    described = spec(params={"train.seed": 42} | settings)
    saved.save(network(described), described)
    return described


def changed(described: ModelSpec, folder: str, **facts: object) -> str:
    """Save another network, described with other facts."""
    model = network(described)
    with torch.no_grad():
        model.head[-1].bias += 1
    saved.save(model, described.model_copy(update=facts), Path(folder))
    return folder


def test_this_training_alone(own: ModelSpec) -> None:
    (alone,) = members.load()
    assert alone.spec == own
    assert (alone.facts()["phase"], alone.facts()["seed"]) == (None, 42)
    assert not alone.model.training


def test_a_folder(own: ModelSpec) -> None:
    name = changed(own, "elsewhere/other", identity="2" * 64, input_size=40)
    first, other = members.load([name])
    assert other.spec.identity == "2" * 64
    assert other.model.input_size == 40
    assert torch.equal(other.model.head[-1].bias, first.model.head[-1].bias + 1)
    assert first.digest != other.digest
    assert name not in json.dumps(other.facts()), "a path in an output"


def test_an_earlier_phase_works_at_its_own_input_size(own: ModelSpec) -> None:
    model = network(own)
    earlier = {name: tensor + 1 if "head" in name else tensor for name, tensor in model.state_dict().items()}
    saved.save(model, own, phases={"head": earlier})
    first, phase = members.load(["phase:head"])
    assert (first.model.input_size, phase.model.input_size) == (32, 24)
    assert torch.equal(phase.model.head[-1].bias, model.head[-1].bias + 1)
    assert (phase.facts()["phase"], phase.facts()["identity"]) == ("head", first.facts()["identity"])
    with pytest.raises(UserError, match=r"no weights of an earlier phase 'haed'; did you mean 'head'"):
        members.load(["phase:haed"])


@pytest.mark.usefixtures("own")
def test_phases_that_were_not_kept_are_missed_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"'head'; none is kept: train with -S train\.keep_phases=true"):
        members.load(["phase:head"])


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"classes": ["Farmland", "City"]}, r"has other classes \(Farmland, City\) than this model \(City, Farmland\)"),
        ({"bands": ["B02", "B03", "B04"]}, "has other bands"),
        ({"units": "furlongs"}, r"has other units \(furlongs\)"),
        ({"radiometric_offset": -1000}, r"has other radiometric_offset \(-1000\) than this model"),
        ({"dtype": "uint16"}, r"has other dtype \(uint16\)"),
        ({"tile_size": 64}, r"has other tile_size \(64\) than this model \(32\)"),
        ({"layers": [LAYER]}, r"has other layers \(B02 \(x 0.5 \+ 1, nearest\)\) than this model \(None\)"),
        ({"data_digest": "e" * 64}, "may have learnt from test tiles of this one"),
    ],
)
def test_who_answers_another_question_is_refused(own: ModelSpec, facts: dict[str, object], told: str) -> None:
    name = changed(own, "other", **facts)
    with pytest.raises(UserError, match=f"^ensemble.members: other .*{told}") as caught:
        members.load([name])
    assert "\n" not in str(caught.value)


def test_the_same_network_under_two_names_is_refused(own: ModelSpec) -> None:
    saved.save(network(own), own, Path("copy"))
    with pytest.raises(UserError, match="copy is the same network as models/model: leave one of them out"):
        members.load(["copy"])


@pytest.mark.parametrize("damage", [lambda b: b[:200], lambda b: b[:-8], lambda _: b""])
def test_damaged_weights_are_refused(own: ModelSpec, damage) -> None:
    file = Path(changed(own, "other"), saved.WEIGHTS)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"the weights\.safetensors of other is damaged"):
        members.load(["other"])


def test_weights_of_another_network_are_refused(own: ModelSpec) -> None:
    name = changed(own, "other")
    saved.save(network(spec("cnn_54k")), own, Path("third"))
    (Path(name) / saved.WEIGHTS).write_bytes((Path("third") / saved.WEIGHTS).read_bytes())
    with pytest.raises(UserError, match=r"the weights\.safetensors of other is damaged"):
        members.load([name])


def test_a_model_of_another_version_is_refused(own: ModelSpec) -> None:
    file = Path(changed(own, "other"), saved.SPEC)
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "mean"}))
    with pytest.raises(UserError, match=r"the model\.json of other is damaged, or of another version of landuse"):
        members.load(["other"])


@pytest.mark.usefixtures("own")
def test_a_name_that_leads_nowhere_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"no model of 'nowhere' \(.*name a finished experiment") as caught:
        members.load(["nowhere"])
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_experiments_and_revisions_are_read_from_the_cache(own: ModelSpec, monkeypatch) -> None:
    """Each experiment copies the model of its name; the workspace keeps the first."""
    changed(own, "store/second", identity="2" * 64)
    saved.save(network(own), own, Path("store/first"))
    root = Path.cwd()
    clone = Workspace(root)
    copy = "python -c \"import shutil; shutil.copytree('store/${which}', 'models/model')\""
    Path("dvc.yaml").write_text(
        f"stages: {{train: {{cmd: {json.dumps(copy)}, params: [which], outs: [models/model]}}}}\n"
    )
    Path("params.yaml").write_text("which: first\n")
    Path(".gitignore").write_text("data\nmetrics\nmodels\n")
    for command in ("git init -q -b main", "dvc init -q", "dvc repro -q", "git add -A", "git commit -q -m work"):
        clone.run(*command.split())
    clone.run("dvc", "exp", "run", "-q", "-n", "again", "-S", "which=second")
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")
    first, other = members.load(["again"])
    assert (first.spec.identity, other.spec.identity) == ("1" * 64, "2" * 64)
    with pytest.raises(UserError, match="main is the same network as models/model"):
        members.load(["main"])
    # as a queued experiment: its folder knows no other experiment, DVC_ROOT does
    monkeypatch.setenv("DVC_ROOT", str(root))
    away = root.parent / "away"
    (root / "models").rename(away)
    (away / "models").mkdir()
    (away / "model").rename(away / "models/model")
    monkeypatch.chdir(away)
    assert [member.spec.identity[0] for member in members.load(["again"])] == ["1", "2"]
    clone.run("rm", "-rf", ".dvc/cache")
    with pytest.raises(UserError, match="no model of 'again'"):
        members.load(["again"])
