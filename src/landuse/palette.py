"""The colours of classes on maps."""

from collections.abc import Sequence

_KNOWN = {
    "City": "#d32f2f",
    "Farmland": "#f0d678",
    "AnnualCrop": "#f0d678",
    "Forest": "#1b5e20",
    "HerbaceousVegetation": "#aed581",
    "Highway": "#424242",
    "Industrial": "#8e44ad",
    "Pasture": "#66bb6a",
    "PermanentCrop": "#c68642",
    "Residential": "#d32f2f",
    "River": "#29b6f6",
    "SeaLake": "#0d47a1",
    "Agriculture": "#f0d678",
    "Parcels": "#c68642",
    "Urban": "#d32f2f",
    "Water": "#0d47a1",
}
# Okabe and Ito 2008: told apart by colour-blind people, too
_OTHERS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


def colours(classes: Sequence[str]) -> dict[str, str]:
    """``#rrggbb`` of each class: of land uses that are known the usual one, of others one from a list, in order."""
    others = [name for name in classes if name not in _KNOWN]
    return {name: _KNOWN.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in classes}


def rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
