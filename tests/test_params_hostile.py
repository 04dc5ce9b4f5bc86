"""Whatever stands at a leaf of params.yaml, it is taken for what it is or refused in one short line before any work."""

import copy
import datetime
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from conftest import DEFAULTS

from landuse import params
from landuse.core.errors import UserError

CONTENT: dict[str, Any] = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
HUGE = "x" * 100_000
NEVER = [math.nan, math.inf, -math.inf, 1e-300, -1e-300, 1e300, 10**400, "", HUGE, "a\nb", "\0", b"x"]
ELSEWHERE = [
    "nan",
    "1e999",
    True,
    False,
    -1,
    0,
    10**12,
    2.5,
    "64",
    "no such word",
    [],
    [1],
    {},
    {"a": 1},
    None,
    datetime.date(2020, 1, 1),
]
# searched keys are of many types: landuse tune reads params.yaml with each of them (tuning.space)
ANY_TYPE = ("tune", "space", "train.freeze", "choices")


def leaves(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


LEAVES = dict(leaves(CONTENT))
MAY_BE_TEXT = ("url", "coordinates", "list", "sha256", "register")  # and are null in the repository


def put(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The content of params.yaml with another value in one place; what is on the way there is copied."""
    whole = copy.copy(CONTENT)
    table: Any = whole
    for step in path[:-1]:
        table[step] = copy.copy(table[step])
        table = table[step]
    table[path[-1]] = value
    return whole


def outcome(content: dict[str, Any]) -> str | None:
    """The refusal, or None. Any other exception fails the test."""
    try:
        params.check(content)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.long
@pytest.mark.parametrize("section", CONTENT)
def test_every_leaf_takes_what_it_is_for_and_refuses_the_rest(section: str) -> None:
    for path, value in LEAVES.items():
        if path[0] != section:
            continue
        for hostile in [*NEVER, *ELSEWHERE]:
            told = outcome(put(path, hostile))
            where = f"{'.'.join(map(str, path))} = {str(hostile)[:40]!r}: {str(told)[:300]}"
            if told is not None:
                assert told.startswith("params.yaml: "), where
                assert told.isprintable(), where
                assert len(told) < 1000, where
                continue
            if path[:4] == ANY_TYPE:
                continue
            assert not any(hostile is never for never in NEVER), where
            assert isinstance(hostile, bool) <= isinstance(value, bool), where
            assert isinstance(hostile, list | dict) <= (value in ([], {})), where
            assert not isinstance(hostile, datetime.date), where
            if hostile in ("nan", "1e999") or hostile == 10**12:
                assert isinstance(value, str | float) or value is None, where
                assert isinstance(hostile, str) == isinstance(value, str) or path[-1] in MAY_BE_TEXT, where


@pytest.mark.parametrize("wrong", [None, [], "x", 5, {}, {1: 2}, {True: 1}, {"a": {}}])
def test_every_table_is_refused_where_it_is_none(wrong: Any) -> None:
    tables = {path[:depth] for path in LEAVES for depth in range(1, len(path))}
    for path in tables:
        told = outcome(put(path, wrong))
        optional = path[-1] == "lr_factors" or path[0] in ("tune", "augmentations")
        assert told or (optional and wrong in ({}, None)) or path[-1] in ("randaugment", "pretraining"), (path, wrong)
        assert told is None or (told.isprintable() and len(told) < 3000), (path, told)
    for content in ({}, {1: 2}, {"train": None}, dict.fromkeys(CONTENT, wrong)):
        assert outcome(content)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train.lr", 1e-300, ["train.lr", "1e-300", "32 bits"]),
        ("train.lr", 1e-13, ["train.lr is 1e-13", "greater than or equal to 1e-12"]),
        ("train.augment", "", ["train.augment is ''"]),
        ("train.augment", "dihedrl", ["train.augment is 'dihedrl'", "did you mean 'dihedral'"]),
        ("evaluate.views", True, ["evaluate.views is", "True", "allowed: 1, 8"]),
        ("evaluate.views", 1.0, ["evaluate.views is", "1.0", "allowed: 1, 8"]),
        ("evaluate.bootstrap", 10**12, ["evaluate.bootstrap is 1000000000000", "100000"]),
        ("train.batch_size", 10**12, ["train.batch_size is 1000000000000", "65536"]),
        ("export.opset", 10**12, ["export.opset is 1000000000000", "99"]),
        ("export.int8", "yes", ["export.int8 is 'yes', allowed: none, auto"]),
        ("export.register", "land/use", ["export.register", "'land/use'", "NAME or NAME@ALIAS"]),
        ("export.register", "land-use@latest", ["export.register", "keeps the aliases latest"]),
        ("train.optimizers.sgd.momentum", 0, ["train.optimizers.sgd", "set nesterov to false"]),
        ("train.schedulers.onecycle.end_factor", 0, ["end_factor is 0", "greater than 0"]),
        ("data.url", "x" * 300, ["data.url", "255 bytes"]),
        ("model.backbone", HUGE, ["model.backbone is 'xxxx", "..."]),
    ],
)
def test_the_reason_is_told(key: str, value: Any, told: list[str]) -> None:
    message = outcome(put(tuple(key.split(".")), value))
    assert message
    for part in told:
        assert part in message


@pytest.mark.parametrize("old", ["train.cache", "train.cache_gb", "train.checkpoint_minutes", "export.log_model"])
def test_a_key_that_moved_is_told_by_its_new_name(old: str) -> None:
    section, key = old.split(".")
    message = outcome(put((section, key), CONTENT["runtime"][key]))
    assert message == f"params.yaml: unknown key '{old}'; did you mean 'runtime.{key}'?"


def test_a_signed_address_may_be_long() -> None:
    address = f"https://store/tiles.zip?signature={'x' * 2000}"
    assert outcome(put(("data", "url"), address)) is None
