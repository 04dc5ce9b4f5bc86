"""Shapes of the JSON files that the report reads, as far as it reads them; a file may hold more.

Sections that an evaluation may leave out are not required, or null.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from landuse.core.results import Check, Headline, Measure, Verdict


def _table(*names: str, each: Any = Measure, **others: Any) -> Any:
    """A table with these keys: the named ones all of one type, the others of their own."""
    return TypedDict("Table", dict.fromkeys(names, each) | others)  # type: ignore[operator]


def _by_name(shape: Any) -> Any:
    return dict[str, shape]


def _maybe(shape: Any) -> Any:
    return NotRequired[shape | None]


def _consistent(ood: dict[str, Any]) -> dict[str, Any]:
    if ood["classes"].keys() != ood["by_class"].keys() or ood["best"] not in ood["scores"]:
        raise ValueError("its tables are not of the same classes, or its best score is none of its scores")
    return ood


_PARTS = _table("train", "val", "test", each=int)
_PROBABILITIES = _table("ece", "nll", "brier")
_HISTOGRAM = _table(
    low=Annotated[float, Field(gt=0)], high=float, tiles=Annotated[list[int], Field(min_length=1)]
)  # of bins of equal width on a logarithmic scale

SPLIT = _table(
    method=Literal["stratified", "kfold", "spatial", "spatial_kfold", "published"],
    tiles=_PARTS,
    classes=_by_name(_PARTS),
    labels=_by_name(_PARTS),
    duplicates=_table("exact_across_parts", "near_across_parts", each=int),
    nearest_test_to_train_km=_maybe(_table("min", "median", each=float, histogram=_HISTOGRAM)),
    coordinates_only=_maybe(_table("accuracy")),
)
COLLAPSE = _table(verdict=Verdict, stopped=bool, checks=_by_name(Check))
EXPORT = _table("opset", "bytes", "tiles", each=int, parity=_by_name(_table("largest_difference", each=float)))
EVALUATE = _table(
    *("balanced_accuracy", "macro_precision", "macro_recall", "mcc", "roc_auc"),
    **Headline.__annotations__,
    errors=int,
    labels=_by_name(_table("precision", "recall", "f1", "roc_auc", "average_precision", n=int)),
    classes=_by_name(_table("accuracy", n=int)),
    calibration=_table(scaled=bool, before=_PROBABILITIES, after=_PROBABILITIES, bins=int),
    abstention=_table("coverage", "accuracy", score=str, threshold=float, coverage_asked=float, abstained=int),
    conformal=_table(
        "coverage", method=str, coverage_asked=float, mean_size=float, sizes=dict[str, int], by_label=dict[str, Measure]
    ),
    ood=_maybe(
        Annotated[
            _table(
                n=int,
                classes=dict[str, int],
                scores=_by_name(_table("auroc", "fpr95")),
                best=str,
                by_class=dict[str, Measure],
            ),
            AfterValidator(_consistent),
        ]
    ),
    rounding=_maybe(Check),
    views=_maybe(_table("accuracy", "gain", n=int, tiles=int)),
    bands=_maybe(_table("accuracy", tiles=int, repeats=int, lost=_by_name(_table("accuracy", "macro_f1")))),
    ensemble=_maybe(_table("gain", members=list[_table("accuracy", backbone=str, seed=int)])),  # type: ignore[misc]
)
