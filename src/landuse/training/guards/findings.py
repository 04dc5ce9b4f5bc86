"""What a check found: measured values, limits, a verdict, and in plain words the likely cause and what to do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landuse.core.errors import UserError
from landuse.core.results import Verdict

SEVERITY: dict[str, int] = {"ok": 0, "warning": 1, "collapse": 2}


class Collapsed(UserError):
    """Training that cannot succeed, ended by a guard."""


@dataclass(frozen=True)
class Finding:
    """cause: likely cause and remedy, empty if all is well."""

    check: str
    verdict: Verdict
    measured: Mapping[str, float]
    limit: Mapping[str, float]
    cause: str

    def as_json(self, epoch: int) -> dict[str, Any]:
        """Plain values, rounded; what is no number is null. epoch: 0 is before training."""
        measured = {name: rounded(value) for name, value in self.measured.items()}
        kept = {"verdict": self.verdict, "epoch": epoch, "cause": self.cause}
        return kept | {"measured": measured, "limit": dict(self.limit)}


def judge(
    check: str, measured: Mapping[str, float], limit: Mapping[str, float], *rules: tuple[bool, Verdict, str]
) -> Finding:
    """Judge by the first rule (whether it applies, verdict, cause) that applies; where none does, all is well."""
    well: tuple[bool, Verdict, str] = (True, "ok", "")
    _, verdict, cause = next(rule for rule in (*rules, well) if rule[0])
    return Finding(check, verdict, measured, limit, cause)


def rounded(value: float) -> float | None:
    """Six significant digits, or None for what is no finite number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
