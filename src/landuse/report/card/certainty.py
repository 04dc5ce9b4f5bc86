"""The model card on how sure answers are: calibration, when to refuse one, prediction sets, foreign tiles, views.

Every part is left out where the evaluation did not measure it.
"""

from collections.abc import Mapping
from typing import Any

from landuse.report.card.markdown import measure, table

_CALIBRATION = {"ece": "Calibration error (ECE)", "nll": "Negative log-likelihood", "brier": "Brier score"}
_SCORES = {
    "max_softmax": "maximum softmax",
    "energy": "energy",
    "mahalanobis": "Mahalanobis distance",
    "knn": "nearest neighbours",
}


def makers(calibration: Mapping[str, Any]) -> str:
    """Say who answers: one network or several, from how many views. calibration: of models/calibration.json."""
    members, views = calibration["members"], calibration["views"]
    if len(members) == 1 and views == 1:
        return "One network, which sees each tile once."
    who = "One network" if len(members) == 1 else f"{len(members)} networks"
    seen = "once" if views == 1 else f"in its {views} flips and turns by right angles"
    text = f"{who}, which {'sees' if len(members) == 1 else 'see'} each tile {seen}: the mean of their probabilities."
    if len(members) == 1:
        return text
    rows = [
        [m["backbone"], str(m["seed"]), "last" if m["phase"] is None else m["phase"], f"`{m['weights']}`"]
        for m in members
    ]
    return text + "\n\n" + table(["Backbone", "Seed", "Phase", "SHA-256 of the weights"], rows)


def temperature(calibration: Mapping[str, Any]) -> str:
    """Say what was done to the probabilities."""
    temperature, power = calibration["temperature"], calibration["power"]
    if temperature == power == 1:
        return "Its probabilities are the network's own: no temperature divides its logits."
    bent = "" if power == 1 else f" and a power of {power:.4g}"
    return (
        f"Its probabilities are calibrated by a temperature of {temperature:.4g}{bent}, fitted on the validation tiles."
    )


def section(calibration: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Return the whole section. evaluation: of reports/evaluate.json."""
    parts = {
        "calibration": _calibration,
        "abstention": _abstention,
        "conformal": _conformal,
        "ood": _foreign,
        "views": _views,
    }
    found = [write(evaluation[name]) for name, write in parts.items() if evaluation.get(name)]
    return "\n\n".join([makers(calibration), temperature(calibration), *found])


def _calibration(of: Mapping[str, Any]) -> str:
    rows = [[title, measure(of["before"][key]), measure(of["after"][key])] for key, title in _CALIBRATION.items()]
    return (
        f"On the test tiles, ECE over {of['bins']} bins of equally many tiles; the decision to scale or not: "
        f"{of['reason']}.\n\n" + table(["Measure, less is better", "Before", "After"], rows)
    )


def _abstention(of: Mapping[str, Any]) -> str:
    return (
        f"When to refuse: leave tiles whose {_SCORES.get(of['score'], of['score'])} is below {of['threshold']:.4f} to "
        f"a person. Chosen on the validation tiles to answer a share of {of['coverage_asked']:.4g}; on the test tiles "
        f"it answers {measure(of['coverage'])}, of these correctly {measure(of['accuracy'])}, and refuses "
        f"{of['abstained']:,}."
    )


def _conformal(of: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{count:,} of {size}" for size, count in of["sizes"].items())
    rows = [[label, measure(coverage)] for label, coverage in of["by_label"].items()]
    return (
        f"Prediction sets ({of['method']}): made to hold the true label for a share of {of['coverage_asked']:.4g} of "
        f"tiles like the validation tiles; on the test tiles they hold it for {measure(of['coverage'])}, with "
        f"{of['mean_size']:.4g} labels on average (tiles by size of their set: {sizes}).\n\n"
        + table(["Label", "Coverage"], rows)
    )


def _foreign(of: Mapping[str, Any]) -> str:
    scores = [
        [_SCORES.get(name, name), measure(found["auroc"]), measure(found["fpr95"])]
        for name, found in of["scores"].items()
    ]
    classes = [[name, f"{of['classes'][name]:,}", measure(auroc)] for name, auroc in of["by_class"].items()]
    best = _SCORES.get(of["best"], of["best"])
    return "\n\n".join(
        [
            f"Foreign tiles: how well scores tell the test tiles from {of['n']:,} tiles of classes it does not know.",
            table(["Score", "AUROC", "False positives at 95 % recall"], scores),
            f"The best is {best}; class by class:",
            table(["Class", "Tiles", f"AUROC of {best}"], classes),
        ]
    )


def _views(of: Mapping[str, Any]) -> str:
    return f"Accuracy with {of['n']} views is {measure(of['accuracy'])}, a gain of {measure(of['gain'])} over one view."
