"""Guards against training that cannot succeed: they look before it and after each epoch, and say why.

What each of them measures and where its limits come from: docs/collapse.md. Limits that users change are in the section
``collapse`` of params.yaml; the others are constants beside the checks.
"""

from landuse.training.guards.findings import Collapsed
from landuse.training.guards.guards import EpochFacts, Guards

__all__ = ["Collapsed", "EpochFacts", "Guards"]
