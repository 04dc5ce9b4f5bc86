"""params.yaml: reading, checking, and what is told where it is wrong."""

import copy
import difflib
import functools
from collections.abc import Mapping as Tables
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from landuse.core.errors import UserError, did_you_mean
from landuse.params.base import Section, Word
from landuse.params.data import Data, Mapping, Split
from landuse.params.deliverables import Ensemble, Evaluate, Export
from landuse.params.fit import CLASSICAL, OF_PARAMS
from landuse.params.recipe import Augment, Recipe
from landuse.params.training import Collapse, Model, Runtime, Train, Tune

_TOLD, _SHOWN = 12, 80  # faults in one message; letters of a value


class Params(Section):
    """All of params.yaml; ``load`` leaves out the sections that a stage does not declare."""

    data: Data
    mapping: Mapping
    split: Split
    model: Model
    train: Train
    runtime: Runtime
    evaluate: Evaluate
    ensemble: Ensemble
    export: Export
    collapse: Collapse
    tune: Tune
    augmentations: dict[Word, Augment]
    recipes: dict[Annotated[str, Field(pattern=r"^[\w-]+$", max_length=255)], Recipe]  # dvc.yaml names a chosen one

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        def known(key: str, name: str, table: Tables[str, Section]) -> None:
            if name not in table:
                raise ValueError(f"{key} is {name!r}, no such {key.split('.')[-1]}{did_you_mean(name, table)}")

        known("train.recipe", self.train.recipe, self.recipes)
        if self.train.augment is not None:
            known("train.augment", self.train.augment, self.augmentations)
        for name, recipe in self.recipes.items():
            known(f"recipes.{name}.augment", recipe.augment, self.augmentations)
        return self

    @model_validator(mode="after")
    def _recipe_is_for_the_backbone(self) -> Self:
        backbone, recipe = self.model.backbone, self.train.recipe
        if backbone not in CLASSICAL:
            if self.recipes[recipe].fit:
                raise ValueError(
                    f"train.recipe is {recipe!r}, which fits a classical model, but model.backbone is {backbone!r}: "
                    f"choose another recipe, or a classical model{did_you_mean(backbone, CLASSICAL)}"
                )
            return self
        if not self.recipes[recipe].fit:
            fitting = [f"-S train.recipe={name}" for name, other in self.recipes.items() if other.fit]
            raise ValueError(
                f"train.recipe is {recipe!r}, which trains a network in phases, but model.backbone is {backbone!r}, "
                f"which is fitted at once: {' or '.join(fitting) or 'add a recipe with fit'}"
            )
        for key, values in OF_PARAMS.items():
            section, _, name = key.partition(".")
            if (found := getattr(getattr(self, section), name)) not in values:
                raise ValueError(
                    f"{key} is {found!r}, which means nothing for model.backbone={backbone}: "
                    f"set it to {'null' if values[0] is None else str(values[0]).lower()}"
                )
        return self

    @property
    def recipe(self) -> Recipe:
        """The chosen recipe, with the overrides of ``train`` in every phase.

        A learning rate given there replaces the recipe's highest; the other phases keep their ratio to it.
        """
        recipe, train = self.recipes[self.train.recipe], self.train
        highest = max((phase.lr for phase in recipe.phases), default=1.0)

        def given(*names: str) -> dict[str, Any]:
            return {name: value for name in names if (value := getattr(train, name)) is not None}

        phases = [phase.model_copy(update=given("freeze", "scheduler", "epochs")) for phase in recipe.phases]
        if train.lr is not None:
            phases = [phase.model_copy(update={"lr": train.lr * phase.lr / highest}) for phase in phases]
        return recipe.model_copy(update={"phases": phases} | given("batch_size", "augment", "normalise"))

    @property
    def augment(self) -> Augment:
        """The augmentation that the recipe, or ``train.augment``, names."""
        return self.augmentations[self.recipe.augment]


def load(stage: str, root: Path = Path()) -> Params:
    """Read params.yaml, check all of it, and return the sections, or keys, that ``dvc.yaml`` declares for this stage.

    Reading another raises AttributeError: DVC would not notice when it changes. ``runtime`` changes no result.
    """
    everything = read(root / "params.yaml")
    declared = _read_yaml(root / "dvc.yaml")["stages"][stage].get("params", [])
    kept: dict[str, Any] = {"runtime": everything.runtime}
    for section in {name.split(".", 1)[0] for name in declared}:
        keys = [name.removeprefix(f"{section}.") for name in declared if name.startswith(f"{section}.")]
        whole = getattr(everything, section)
        if section == "recipes":
            keys, whole = [], {everything.train.recipe: whole[everything.train.recipe]}
        kept[section] = whole.model_construct(**{key: getattr(whole, key) for key in keys}) if keys else whole
    return Params.model_construct(**kept)


def read(path: Path = Path("params.yaml"), changes: Tables[str, Any] | None = None) -> Params:
    """Read and check a whole params file. changes: other values, by the dotted names of keys that are there.

    Raises UserError, naming every key at fault, its value, what is allowed and the nearest spelling.
    """
    content = _read_yaml(path)
    for key, value in (changes or {}).items():
        _put(content, key, value)
    return check(content, path.name)


def check(content: dict[str, Any], name: str = "params.yaml") -> Params:
    """Return the params of a file's content, or raise as ``read`` does. name: of the file, for the error."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = [_explain(fault) for fault in error.errors()]
        more = [f"and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []
        raise UserError(f"{name}: {'; '.join(faults[:_TOLD] + more)}") from None


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    table: Any = content
    for step in key.split("."):
        keys = table if isinstance(table, dict) else range(len(table)) if isinstance(table, list) else ()
        known = {str(each): each for each in keys}
        if step not in known:
            raise UserError(
                f"params.yaml has no key {_short(repr(key))}{_elsewhere(step) or did_you_mean(step, known)}"
            )
        place, at = table, known[step]
        table = table[at]
    place[at] = value


@functools.lru_cache(maxsize=1)  # a search asks for the same file dozens of times
def _parsed(text: str) -> Any:
    return yaml.load(text, yaml.CSafeLoader)  # ten times as fast as the one in Python


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        remedy = f"run from the repository's root, or restore it with 'git checkout {path.name}'"
        raise UserError(f"no {path.name} here: {remedy}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, a number too long, a date that is none
        place = getattr(error, "problem_mark", None)
        line = f" (line {place.line + 1}: {getattr(error, 'problem', '')})" if place else ""
        raise UserError(f"{path.name} is not YAML{line}: mend it, or 'git checkout {path.name}'") from None
    if not isinstance(content, dict):
        raise UserError(f"{path.name} holds no table of sections: restore it with 'git checkout {path.name}'")
    return content


def _explain(fault: Any) -> str:
    key = ".".join(_short(str(part)) for part in fault["loc"] if not str(part).startswith("["))
    value = _short(repr(fault["input"]))
    if fault["type"] == "extra_forbidden":
        last, known = str(fault["loc"][-1]), _known_keys(fault["loc"][:-1])
        return f"unknown key {key!r}{_elsewhere(last) or did_you_mean(last, known)}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    if fault["type"] == "literal_error":
        options = fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(value.strip("'"), options, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key} is {value}, allowed: {', '.join(options)}{guess}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    for limit in (fault.get("ctx", {}).get(name) for name in ("gt", "ge", "lt", "le")):
        if limit is not None:  # pydantic writes 1e-12 with all its zeros
            message = f"{message.rpartition(' ')[0]} {limit:.15g}"
    return f"{key} is {value}: {message[0].lower()}{message[1:]}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _elsewhere(name: str) -> str:
    """Say where a key of this name is at home, if it is in one other section: keys move, and memory errs."""
    fields = {section: getattr(field.annotation, "model_fields", ()) for section, field in Params.model_fields.items()}
    homes = [section for section in fields if name in fields[section]]
    return f"; did you mean '{homes[0]}.{name}'?" if len(homes) == 1 else ""


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys allowed at a place in the file, found by walking the models."""
    model: Any = Params
    for step in location:
        fields = getattr(model, "model_fields", None)
        model = fields[str(step)].annotation if fields else get_args(model)[-1]
    return list(getattr(model, "model_fields", []))
