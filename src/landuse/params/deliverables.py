"""Sections evaluate and export."""

from typing import Annotated

from pydantic import Field

from landuse.params.base import Float, Positive, Section, Seed


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Seed


class Export(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    log_model: bool
