"""docs/recipes.md says what params.yaml and the networks say, recipe by recipe, phase by phase, to the parameter."""

from functools import cache

import pytest
import yaml
from conftest import DEFAULTS, ROOT

from landuse.model import backbones
from landuse.model.classifier import Classifier
from landuse.params import STAGES, Head, Phase, Recipe

RECIPES = {
    name: Recipe.model_validate(content)
    for name, content in yaml.safe_load((DEFAULTS / "params.yaml").read_text())["recipes"].items()
}
PLAIN = Head(hidden=None, dropout=0)


def table(first_heading: str) -> list[list[str]]:
    """Cells of the rows of the table that starts with this heading, without ticks."""
    lines = (ROOT / "docs/recipes.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[start + 2 : end]]


def line(cells: list[str]) -> str:
    """The row to write, for messages."""
    return f"| `{cells[0]}` | {' | '.join(cells[1:])} |"


@cache
def resnet50() -> backbones.Backbone:
    return backbones.build("resnet50", 3)


@cache
def with_head(head: Head) -> Classifier:
    return Classifier(resnet50(), head, 2, [0.0] * 3, [1.0] * 3, 64)


def count(model: Classifier, learning: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not learning)


def number(value: float) -> str:
    """0.05, 1e-3, 2.5e-5: three digits, and small numbers as params.yaml has them."""
    if value == 0 or value >= 0.01:
        return f"{value:.3g}"
    mantissa, _, power = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(power)}"


def head_words(head: Head) -> str:
    if head.hidden is None:
        return f"linear, dropout {number(head.dropout)}"
    return f"{head.hidden} units, dropout {number(head.dropout)} and {number(head.hidden_dropout)}"


def loss_words(recipe: Recipe) -> str:
    loss = recipe.loss
    name = f"focal, gamma {number(loss.gamma)}" if loss.name == "focal" else "cross-entropy"
    weights = ", class weights" if loss.class_weights else ""
    return name + weights + (f", smoothing {number(loss.label_smoothing)}" if loss.label_smoothing else "")


def also(recipe: Recipe) -> str:
    """Settings of the recipe that are not at their defaults."""
    names = ("least_batches", "accumulate", "clip_norm", "ema", "swa", "from_scratch", "pretraining", "normalise")
    found = {n: getattr(recipe, n) for n in names if getattr(recipe, n) != Recipe.model_fields[n].default}
    return ", ".join(f"{n}: {str(value).lower()}" for n, value in found.items()) or "-"


def recipe_row(name: str) -> list[str]:
    """All cells but the last, the source."""
    recipe = RECIPES[name]
    return [
        name,
        str(recipe.batch_size),
        head_words(recipe.head),
        recipe.augment,
        loss_words(recipe),
        also(recipe),
        f"{count(with_head(recipe.head)):,}" if recipe.phases else "-",
    ]


def rates(phase: Phase, stages: tuple[str, ...]) -> str:
    """Learning rate of the backbone's stages that learn: one for all, or one each."""
    each = {stage: number(phase.lr_of(stage)) for stage in stages}
    if len(set(each.values())) == 1:
        return next(iter(each.values()))
    return ", ".join(f"{stage} {rate}" for stage, rate in each.items()) or "-"


def phase_row(name: str, phase: Phase) -> list[str]:
    model = with_head(RECIPES[name].head)
    model.freeze(phase.freeze, phase.bn)
    learning = count(model, learning=True)
    stages = STAGES[("none", *STAGES, "backbone").index(phase.freeze) :]
    return [
        f"{name}: {phase.name}",
        "everything" if stages == STAGES else ", ".join((*stages, "head")),
        "-" if stages == STAGES else phase.bn,
        number(phase.lr),
        rates(phase, stages),
        str(phase.epochs),
        f"{phase.optimizer}, {number(phase.weight_decay)}",
        phase.scheduler,
        phase.monitor,
        "-" if phase.patience is None else str(phase.patience),
        f"{learning:,}",
        f"{100 * learning / count(model):.3g} %",
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_stands_in_the_table_as_it_is(name: str) -> None:
    rows = {row[0]: row for row in table("recipe")}
    expected = recipe_row(name)
    ready = line([*expected, "<source>"])
    assert name in rows, (
        f"docs/recipes.md lacks the recipe {name!r} of params.yaml; add this row, and its phases:\n{ready}"
    )
    assert rows[name][:-1] == expected, (
        f"docs/recipes.md differs from params.yaml or the network; it should say\n{ready}"
    )
    source = rows[name][-1]
    assert any(word in source for word in ("000", "001", "002", "003", "004", "this project")), f"{name}: {source}"


@pytest.mark.parametrize("name", RECIPES)
def test_every_phase_stands_in_the_table_as_it_is(name: str) -> None:
    shown = [row for row in table("phase") if row[0].startswith(f"{name}:")]
    expected = [phase_row(name, phase) for phase in RECIPES[name].phases]
    ready = "\n".join(map(line, expected))
    assert shown == expected, f"docs/recipes.md differs from params.yaml or the network; it should say\n{ready}"


def test_the_tables_hold_no_recipe_that_is_gone() -> None:
    assert {row[0] for row in table("recipe")} == set(RECIPES)
    assert {row[0].split(":")[0] for row in table("phase")} == {name for name in RECIPES if RECIPES[name].phases}


def test_the_example_of_an_own_recipe_is_one() -> None:
    example = (ROOT / "docs/recipes.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    ((name, content),) = yaml.safe_load(example)["recipes"].items()
    assert name not in RECIPES
    recipe = Recipe.model_validate(content)
    assert recipe.phases[1].lr_of("layer4") == recipe.phases[1].lr / 2


def test_heads_and_small_networks_have_the_sizes_that_are_told() -> None:
    heads = {
        "000": Head(hidden=512, dropout=0.3),
        "001": Head(hidden=128, dropout=0, hidden_dropout=0.3),
        "002, 004": PLAIN,
        "003": Head(hidden=512, dropout=0.3, hidden_dropout=0.15),
    }
    told = {row[0]: row[-1] for row in table("head of")}
    backbone = sum(p.numel() for p in resnet50().module.parameters())
    assert told == {document: f"{count(with_head(head)) - backbone:,}" for document, head in heads.items()}
    for name, _, bands, classes, parameters in table("backbone"):
        zeros = [0.0] * int(bands)
        model = Classifier(backbones.build(name, int(bands), "none"), PLAIN, int(classes), zeros, zeros, 64)
        assert f"{count(model):,}" == parameters, name
