"""The search space: checked against params.yaml before any work, then turned into settings of trials."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.params import Params
from landuse.params.training import Dimension
from landuse.training.identity import flatten

Read = Callable[[Mapping[str, Any]], Params]  # params.yaml with some keys changed, checked
_SEARCHABLE = ("model", "train", "recipes", "augmentations")  # tiles and split are there already when trials train
_DIGITS = 3  # of a number in a range: what is tried can be typed again


@dataclass(frozen=True)
class Space:
    """Keys of params.yaml and what each may be. whole: the keys of ranges that take whole numbers."""

    dimensions: Mapping[str, Dimension]
    whole: frozenset[str]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return what a trial trains with: a value for each key."""
        return {key: self._suggest(trial, key, dimension) for key, dimension in self.dimensions.items()}

    def _suggest(self, trial: optuna.Trial, key: str, dimension: Dimension) -> Any:
        low, high = dimension.low, dimension.high
        if low is None or high is None:
            return trial.suggest_categorical(key, dimension.choices or [])
        if key in self.whole:
            return trial.suggest_int(key, int(low), int(high), log=dimension.log)
        value = trial.suggest_float(key, low, high, log=dimension.log)
        scale = value if dimension.log else high - low
        return min(max(round(value, _DIGITS - 1 - math.floor(math.log10(scale))), low), high)


def check(dimensions: Mapping[str, Dimension], read: Read) -> Space:
    """Return the space if each end of a range and each choice may stand in params.yaml and changes what is trained.

    Raises UserError: naming the key, what is wrong with it and what is allowed.
    """
    if not dimensions:
        raise UserError("tune.space in params.yaml is empty: name keys to search, and their ranges or choices")
    for key in dimensions:
        if key.split(".")[0] not in _SEARCHABLE:
            raise UserError(
                f"tune.space: trials train on the tiles and the split that are there, so {key} cannot be searched; "
                f"keys of {', '.join(_SEARCHABLE)} can"
            )
    whole = frozenset(key for key, dimension in dimensions.items() if _takes_whole_numbers(key, dimension, read))
    values: dict[str, list[Any]] = {}
    for key, dimension in dimensions.items():
        ends: list[Any] = dimension.choices or [end for end in (dimension.low, dimension.high) if end is not None]
        values[key] = [int(end) for end in ends] if key in whole else ends
    for key, ends in values.items():
        for end in ends:
            _read(read, {key: end})
    for key in dimensions:
        if not _matters(key, values, read):
            raise UserError(
                f"tune.space: {key} changes nothing: it is of a recipe or augmentation that is not chosen, or "
                f"overridden by a key of train; leave it out of the space, or choose what it belongs to"
            )
    return Space(dimensions, whole)


def _takes_whole_numbers(key: str, dimension: Dimension, read: Read) -> bool:
    """Whether its ends may be whole numbers alone; if they are none, they are refused later, with the reason."""
    if dimension.low is None or dimension.high is None:
        return False
    return (
        not _fits(read, {key: dimension.low})
        and _fits(read, {key: int(dimension.low)})
        and all(end.is_integer() for end in (dimension.low, dimension.high))
    )


def _fits(read: Read, changes: Mapping[str, Any]) -> bool:
    try:
        read(changes)
    except UserError:
        return False
    return True


def _read(read: Read, changes: Mapping[str, Any]) -> Params:
    try:
        p = read(changes)
        backbones.refuse_unknown(p.model.backbone)  # of all values the one that params.yaml does not know
        return p
    except UserError as error:
        raise UserError(f"tune.space does not fit: {error}") from None


def _matters(key: str, values: Mapping[str, list[Any]], read: Read) -> bool:
    """Whether what is trained depends on a key, as params.yaml is or with one choice of another key."""
    others = [{other: value} for other, ends in values.items() if other != key for value in ends]
    for around in [{}, *others]:
        first, *rest = (flatten(_read(read, around | {key: end})) for end in values[key])
        if any(flat != first for flat in rest):
            return True
    return False
