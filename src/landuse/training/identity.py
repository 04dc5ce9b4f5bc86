"""Who a trained model is: a digest of everything that made it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from landuse import params
from landuse.core import settings

_NO_EFFECT = {"action", "gate"}  # of collapse, on what a state holds: see Guards.ends_before


def digest(content: Any) -> str:
    """SHA-256 of a JSON form with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def flatten(p: params.Params) -> dict[str, Any]:
    """The train stage's params as dotted names and plain values, without what the state of a training does not hold."""
    sections = {"model": p.model, "train": p.train, "augment": p.augment}
    dumped = {name: section.model_dump() for name, section in sections.items()}
    others = {name: True for name in params.CLASSICAL if name != p.model.backbone}
    dumped["recipe"] = p.recipe.model_dump(exclude={"fit": others} if p.recipe.fit else {"fit"})
    return settings.flatten(dumped | {"collapse": p.collapse.model_dump(exclude=_NO_EFFECT)})


def identity(flat_params: dict[str, Any], data_digest: str, root: Path = Path()) -> str:
    """Digest of params, data and the code that the train stage depends on."""
    deps = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]["deps"]
    found = (file for dep in deps for file in ((root / dep).rglob("*.py") if (root / dep).is_dir() else [root / dep]))
    files = sorted(file for file in found if file.suffix == ".py")
    code = [[file.relative_to(root).as_posix(), hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    return digest([flat_params, data_digest, code])
