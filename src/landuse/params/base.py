"""What every section of params.yaml is made of: strict, frozen models and the types of their numbers and words.

Every number has bounds, so that a slip of the keyboard is told here and not by a full memory hours later.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_SMALLEST, _LARGEST = 1e-30, 1e30  # a little within what 32-bit floats hold
_FILE_NAME = 255  # bytes, on every common file system


def _number(value: object) -> object:
    """DVC writes 1e-5 as ``1e-05``, which YAML 1.1 readers take for a string."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _computable(value: float) -> float:
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        beyond = f"{value:g} is beyond what 32 bits hold, in which networks compute"
        raise ValueError(f"{beyond}: give {_SMALLEST:g} to {_LARGEST:g}")
    return value


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds line breaks or other characters that cannot be printed: leave them out")
    return text


def _openable(place: str) -> str:
    if "://" not in place and any(len(part.encode()) > _FILE_NAME for part in place.split("/")):
        raise ValueError(f"names a file by more than {_FILE_NAME} bytes: no disk has such a name")
    return place


Float = Annotated[float, BeforeValidator(_number), AfterValidator(_computable), Field(allow_inf_nan=False)]
Positive = Annotated[Float, Field(gt=0)]
Share = Annotated[Float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]  # of epochs, batches, trials, tiles: more would take years
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # as numpy's and scikit-learn's generators take it
Word = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=_FILE_NAME)]
Place = Annotated[str, AfterValidator(_printable), AfterValidator(_openable), Field(min_length=1, max_length=4096)]


class Section(BaseModel):
    """A part of params.yaml. Unknown keys and wrong types are refused, and nothing can be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
