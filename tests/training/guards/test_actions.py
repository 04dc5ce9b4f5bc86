"""A training goes on with another ``collapse.action``, and ends as one that had it from its start."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small import load, network, tiles

from landuse.core.errors import Interrupted
from landuse.storage.checkpoints import checkpointing
from landuse.training.guards import Collapsed, Guards, epoch
from landuse.training.identity import flatten
from landuse.training.loop import Loop

HOPELESS = {"one_class_share": 0.2}  # every epoch counts as one-class
End = tuple[str, Any, Any, Any]


def train(folder: Path, action: str, stop_at: int | None = None) -> End:
    """Train for three epochs of four batches, going on from what is in the folder; stop_at: the state to stop after."""
    changes = {f"collapse.{key}": value for key, value in (HOPELESS | {"action": action}).items()}
    p = load(folder, [{"epochs": 3, "lr": 1e-3}], changes, head={"hidden": None, "dropout": 0.2})
    guards, model = Guards(p.collapse, ["a", "b", "c"]), network()
    with checkpointing(folder, "me", 1e-9, flatten(p)) as checkpointer:
        if stop_at:
            original = checkpointer.save

            def save(content: Any) -> None:
                original(content)
                if (len(content["history"]), content["batch"]) == divmod(stop_at, 4):
                    checkpointer.signal = 15

            checkpointer.save = save  # type: ignore[method-assign]
        try:
            history, _ = Loop(model, *tiles(), p, lambda *_: None, checkpointer, guards).run()
        except (Collapsed, Interrupted) as ended:
            return type(ended).__name__, None, None, json.dumps(guards.report())
    weights = {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}
    return "done", weights, history, json.dumps(guards.report())


@pytest.fixture(scope="module", autouse=True)
def hopeless() -> Iterator[None]:
    """The second epoch of one class is collapse, whatever the logits, and nothing else is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch, "VARIATION", 1e9)
        patch.setattr(epoch, "STALLED_EPOCHS", 99)
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, End]:
    """What each action comes to from the start."""
    return {action: train(tmp_path_factory.mktemp(action), action) for action in ("fail", "stop", "warn")}


@pytest.mark.long
def test_the_actions_end_in_different_ways(unbroken: dict[str, End]) -> None:
    assert [end[0] for end in unbroken.values()] == ["Collapsed", "done", "done"]
    assert [len(unbroken[action][2]) for action in ("stop", "warn")] == [2, 3]


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "stop_at", "then", "resumes"),
    [
        ("fail", None, "warn", True),  # what the guards recommend
        ("stop", None, "warn", True),
        ("warn", 7, "fail", True),
        ("warn", 8, "stop", True),  # just where it ends
        ("warn", 8, "fail", False),
        ("warn", 9, "stop", False),
    ],
)
def test_another_action_goes_on_as_if_it_had_been_there_from_the_start(
    tmp_path: Path,
    unbroken: dict[str, End],
    capsys: pytest.CaptureFixture[str],
    first: str,
    stop_at: int | None,
    then: str,
    resumes: bool,
) -> None:
    train(tmp_path, first, stop_at)
    capsys.readouterr()
    assert train(tmp_path, then) == unbroken[then]
    told = capsys.readouterr().out
    assert ("resuming: " in told) == resumes
    assert ("starting anew: with collapse.action=" in told) != resumes


def test_what_is_told_to_the_user_can_be_typed(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 2}], {f"collapse.{key}": value for key, value in HOPELESS.items()})
    torch.manual_seed(0)
    with pytest.raises(Collapsed, match=r"\('dvc exp run -S collapse\.action=warn' goes on from"):
        Loop(network(), *tiles(), p, lambda *_: None, guards=Guards(p.collapse, ["a", "b", "c"])).run()


def test_limits_make_another_training_and_actions_do_not(tmp_path: Path) -> None:
    before = flatten(load(tmp_path))
    for change in ({"collapse.action": "warn"}, {"collapse.gate": True}, {"runtime.cache": False}):
        assert flatten(load(tmp_path, changes=change)) == before
    assert flatten(load(tmp_path, changes={"collapse.eval_gap": 0.2})) != before
