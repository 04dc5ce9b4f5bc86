"""What every section of params.yaml is made of: strict, frozen models and the types of their numbers."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _number(value: object) -> object:
    """DVC writes 1e-5 as ``1e-05``, which YAML 1.1 readers take for a string."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Float = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Float, Field(gt=0)]
Share = Annotated[Float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of params.yaml. Unknown keys and wrong types are refused, and nothing can be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
