"""What each band is worth to the model, as page and card tell it."""

from collections.abc import Mapping

from landuse import sensors
from landuse.report import vocabulary as v
from landuse.report.inputs import Inputs
from landuse.report.tables import Cell, Table

Lost = Mapping[str, v.Interval]  # by metric


def by_wavelength(inputs: Inputs) -> dict[str, Lost]:
    """What is lost without each band, by its name in words; layers, which are no light, come last."""
    lost: Mapping[str, Lost] = (inputs.evaluate.get("bands") or {"lost": {}})["lost"]
    last = max(band.wavelength for band in sensors.BY_NAME.values()) + 1
    waves = {name: sensors.BY_NAME[name].wavelength if name in sensors.BY_NAME else last for name in lost}
    return {sensors.called(name): lost[name] for name in sorted(lost, key=lambda name: waves[name])}


def strongest(inputs: Inputs) -> list[tuple[str, v.Interval]]:
    """Names and lost accuracy of the bands, three at most, that cost most and surely something."""
    sure = [(name, of["accuracy"]) for name, of in by_wavelength(inputs).items() if (of["accuracy"]["low"] or 0) > 0]
    return sorted(sure, key=lambda item: -item[1]["value"])[:3]


def table(inputs: Inputs) -> Table:
    rows = [[Cell(name), *map(_points, of.values())] for name, of in by_wavelength(inputs).items()]
    return Table(
        "Points lost without a band", ["Band", *(v.METRICS[key].title for key in ("accuracy", "macro_f1"))], rows
    )


def _points(of: v.Interval) -> Cell:
    return Cell(v.points(of["value"]), f"{v.points(of['low'])} to {v.points(of['high'])}", of["value"])
