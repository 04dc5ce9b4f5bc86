"""The first screen: how good, how sure, against which baselines, and when not to trust it, in plain words."""

from dataclasses import dataclass

import numpy as np

from landuse.report import numbers as n
from landuse.report.inputs import Facts, Inputs

_BASELINES = {  # what a reader calls them
    "majority": "always naming the commonest label",
    "band_statistics": "a simple model that sees only the mean and spread of each colour band",
}
_FLATTERING = {"stratified", "kfold"}  # splits that deal neighbours to both sides
_FEW = 200  # test tiles; below, intervals are wider than most differences that matter
_MISCALIBRATED = 0.03  # mean distance of stated and true accuracy that a reader would notice


@dataclass(frozen=True)
class Headline:
    """One large number. what: above it; detail: below it."""

    what: str
    value: str
    detail: str


def title(inputs: Inputs) -> str:
    """City or Farmland; of more than three labels, their number."""
    names = inputs.names
    return " or ".join(names) if len(names) <= 3 else f"{len(names)} kinds of land use"


def facts(inputs: Inputs) -> list[str]:
    """What was measured, in a few words each."""
    spec = inputs.spec
    method = [f"{inputs.split['method']} split"] if inputs.split else []
    return [spec["backbone"], f"{spec['source']}, {len(spec['bands'])} bands", *method,
            n.count(inputs.metrics["n"], "test tile")]  # fmt: skip


def paragraphs(inputs: Inputs) -> list[str]:
    """The summary that a manager reads."""
    found = inputs.metrics
    first = [
        f"Shown {n.count(found['n'], 'tile')} that it had never seen, the model named the right label for "
        f"{n.share(found['accuracy'])} of them{_every(found)}. {_range(found)}",
        _against(inputs),
    ]
    second = [_sure(inputs), _declining(inputs), _strangers(inputs)]
    return [" ".join(filter(None, lines)) for lines in (first, second) if any(lines)]


def _every(found: Facts) -> str:
    if not found["errors"]:
        return ", without a single error"
    return f": one error in every {found['n'] / found['errors']:.0f} tiles" if found["errors"] * 2 < found["n"] else ""


def _range(found: Facts) -> str:
    if not n.span(found["accuracy"]):
        return ""
    ends, sure = n.between(found["accuracy"]), n.level(found["confidence"])
    return f"With tiles like these, the true figure lies between {ends} ({sure} interval)."


def _against(inputs: Inputs) -> str:
    baselines = inputs.metrics.get("baselines", {})
    if not baselines:
        return ""
    parts = [
        f"{_BASELINES.get(name, name.replace('_', ' '))} is right for {n.share(found['accuracy'])}"
        for name, found in baselines.items()
    ]
    verdict = "That is clearly better than" if _beats_all(inputs) else "That is not clearly better than"
    return f"{verdict} what needs no deep network: {n.listed(parts)}."


def _beats_all(inputs: Inputs) -> bool:
    low = inputs.metrics["accuracy"].get("low")
    highs = [found["accuracy"].get("high") for found in inputs.metrics.get("baselines", {}).values()]
    return low is not None and all(high is not None and low > high for high in highs)


def _sure(inputs: Inputs) -> str:
    found = inputs.found("calibration")
    if not found:
        return ""
    error = found["after"]["ece"]["value"]
    if error is None:
        return ""
    taken = "can be taken at face value" if error <= _MISCALIBRATED else "should be read with care"
    return (
        f"Its probabilities {taken}: on average they miss how often it is really right by "
        f"{n.percent(error, 2 if error < 0.01 else 1)}."
    )


def _declining(inputs: Inputs) -> str:
    found = inputs.found("abstention")
    if not found or found["coverage_asked"] == 1 or found["accuracy"]["value"] is None:
        return ""
    return (
        f"When it may leave its least certain {n.percent(1 - found['coverage_asked'], 0)} to a person, it is right for "
        f"{n.share(found['accuracy'])} of the tiles that it does answer."
    )


def _strangers(inputs: Inputs) -> str:
    found = inputs.found("ood")
    if not found:
        return ""
    best = found["scores"][found["best"]]["auroc"]
    return (
        f"Land that is none of its labels ({n.listed(sorted(found['classes']), 4)}) gets a lower score than land it "
        f"knows in {n.share(best)} of comparisons."
    )


def headlines(inputs: Inputs) -> list[Headline]:
    """At most five large numbers."""
    found = inputs.metrics
    interval = n.span(found["accuracy"])
    cards = [
        Headline("Accuracy", n.share(found["accuracy"]), f"{interval}{n.GAP}%" if interval else ""),
        Headline("Errors", f"{found['errors']:,}", f"of {n.count(found['n'], 'test tile')}"),
    ]
    if found.get("baselines"):
        name, best = max(found["baselines"].items(), key=lambda item: item[1]["accuracy"]["value"] or 0)
        gain = found["accuracy"]["value"] - best["accuracy"]["value"]
        cards.append(
            Headline("Gain", f"{100 * gain:+.1f}".replace("-", "\u2212"), f"points over {name.replace('_', ' ')}")
        )
    if (calibration := inputs.found("calibration")) and calibration["after"]["ece"]["value"] is not None:
        change = f"before scaling {n.percent(calibration['before']['ece']['value'], 2)}"
        value = n.percent(calibration["after"]["ece"]["value"], 2)
        cards.append(Headline("Calibration error", value, change if calibration["scaled"] else "not scaled"))
    if (abstention := inputs.found("abstention")) and abstention["accuracy"]["value"] is not None:
        about = f"right, of {n.percent(abstention['coverage']['value'])} of the tiles"
        cards.append(Headline("Where it is certain", n.share(abstention["accuracy"]), about))
    return cards


def cautions(inputs: Inputs) -> list[str]:
    """When it should not be trusted. Never empty."""
    found, lines = inputs.metrics, []
    if inputs.spec["source"] == "sample":
        lines.append("These tiles are simulated: the numbers show that everything works, and nothing about real land.")
    if found.get("baselines") and not _beats_all(inputs):
        lines.append("It does not clearly beat the simplest baselines: use it for nothing before it does.")
    lines += _about_split(inputs)
    lines.append(_about_strangers(inputs))
    lines += _about_labels(inputs)
    if (calibration := inputs.found("calibration")) and (calibration["after"]["ece"]["value"] or 0) > _MISCALIBRATED:
        lines.append(f"Its probabilities are off by {n.percent(calibration['after']['ece']['value'])} on average.")
    if found["n"] < _FEW:
        lines.append(f"Only {n.count(found['n'], 'tile')} tested it: every number here is uncertain by several points.")
    if inputs.collapse and inputs.collapse["verdict"] != "ok":
        lines.append(f"Training raised a {inputs.collapse['verdict']}: see Training below.")
    lines.append(
        f"It knows tiles in these units only: {inputs.spec['units']}. Other sensors or another scaling give answers "
        "that look as sure and mean nothing."
    )
    return lines


def _about_split(inputs: Inputs) -> list[str]:
    if not inputs.split:
        return []
    lines, split = [], inputs.split
    if split["method"] in _FLATTERING:
        place = (split.get("coordinates_only") or {}).get("accuracy")
        proof = f" Knowing only where a tile lies is enough to be right for {n.share(place)}." if place else ""
        lines.append(
            "Test tiles were drawn at random, so most have neighbours among the training tiles. Expect less on land "
            f"far from them; a spatial split measures how much less.{proof}"
        )
    near = split.get("duplicates", {}).get("near_across_parts", 0)
    if near:
        lines.append(f"{n.count(near, 'pair')} of near duplicates lie on both sides of the split.")
    return lines


def _about_strangers(inputs: Inputs) -> str:
    found = inputs.found("ood")
    always = "It always answers with one of its labels, even for cloud or for land that is none of them."
    if not found:
        return f"{always} How it behaves there was not measured."
    passed = found["scores"][found["best"]]["fpr95"]
    return f"{always} A limit that lets 95{n.GAP}% of known land pass also lets {n.share(passed)} of other land pass."


def _about_labels(inputs: Inputs) -> list[str]:
    recall = {name: label["recall"] for name, label in inputs.metrics["labels"].items()}
    absent = [name for name, found in recall.items() if found["value"] is None]
    lines = [f"No test tile shows {n.listed(absent)}: nothing here says how well it does there."] if absent else []
    known = {name: found for name, found in recall.items() if found["value"] is not None}
    if len(known) > 1:
        weakest = min(known, key=lambda name: known[name]["value"])
        if known[weakest]["value"] < 1:
            lines.append(
                f"It is weakest on {weakest}: it finds {n.with_span(known[weakest])}{_taken_for(inputs, weakest)}."
            )
    return lines


def _taken_for(inputs: Inputs, name: str) -> str:
    if inputs.confusion is None or len(inputs.names) == 2:
        return ""
    row = inputs.confusion[inputs.names.index(name)].copy()
    row[inputs.names.index(name)] = 0
    return f" and takes the rest mostly for {inputs.names[int(np.argmax(row))]}" if row.any() else ""
