"""Members of an ensemble: the model of this training, and those that ``ensemble.members`` names.

A name is ``phase:NAME`` (the best weights of an earlier phase of this training, see ``train.keep_phases``), a folder
with a saved model, or a DVC experiment or git revision, whose model is read from DVC's cache or remote.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError

from landuse.errors import UserError, did_you_mean
from landuse.model import saved
from landuse.model.classifier import Classifier

_PHASE = "phase:"
# what must be equal to answer the same question of the same pixels
_ALIKE = ("classes", "bands", "units", "dtype", "tile_size")


@dataclass(frozen=True)
class Member:
    """A network in eval mode on the CPU. phase: of this training, None for its end. digest: SHA-256 of its weights."""

    model: Classifier
    spec: saved.Spec
    phase: str | None
    digest: str

    def facts(self) -> dict[str, object]:
        """Who it is, for model.json and the model card; the same network has the same facts under any name."""
        return {
            "backbone": self.spec.backbone,
            "seed": self.spec.params.get("train.seed"),
            "phase": self.phase,
            "identity": self.spec.identity,
            "weights": self.digest,
        }


def load(names: Sequence[str] = ()) -> list[Member]:
    """Load this training's model and then the named ones.

    Raises:
        UserError: a member cannot be found or read, answers another question than this model, was trained on other
            tiles or another split, or is there twice.
    """
    own = _restore(*_of_folder(saved.FOLDER), str(saved.FOLDER))
    found = {str(saved.FOLDER): own}
    for name in names:
        if name.startswith(_PHASE):
            member = _restore(*_of_phase(name.removeprefix(_PHASE), own.spec), name, name.removeprefix(_PHASE))
        else:
            folder = Path(os.environ.get("DVC_ROOT") or ".", name)
            parts = _of_folder(folder) if (folder / saved.SPEC).is_file() else _of_revision(name)
            member = _restore(*parts, name)
        _refuse_misfit(name, member, own.spec)
        for other, there in found.items():
            if there.digest == member.digest:
                raise UserError(f"ensemble.members: {name} is the same network as {other}: leave one of them out")
        found[name] = member
    return list(found.values())


def _restore(spec: saved.Spec, weights: bytes, name: str, phase: str | None = None) -> Member:
    try:
        model = saved.restore(spec, weights)
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"the weights of {name} are damaged or not those of its model.json: train it again") from error
    return Member(model, spec, phase, hashlib.sha256(weights).hexdigest())


def _refuse_misfit(name: str, member: Member, own: saved.Spec) -> None:
    for field in _ALIKE:
        theirs, ours = getattr(member.spec, field), getattr(own, field)
        if theirs != ours:
            raise UserError(
                f"ensemble.members: {name} has other {field} ({_short(theirs)}) than this model ({_short(ours)}): "
                "leave it out, or train it on the same tiles"
            )
    if member.spec.data_digest != own.data_digest:
        raise UserError(
            f"ensemble.members: {name} was trained on other tiles or another split, so it may have learnt from test "
            "tiles of this one: leave it out, or train it with the data, mapping and split of this model"
        )


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_folder(folder: Path) -> tuple[saved.Spec, bytes]:
    return saved.read_spec(folder), (folder / saved.WEIGHTS).read_bytes()


def _of_phase(phase: str, own: saved.Spec) -> tuple[saved.Spec, bytes]:
    file = saved.phase_file(phase)
    if not file.is_file():
        kept = [each.stem for each in file.parent.glob("*.safetensors")]
        known = did_you_mean(phase, kept) if kept else "; none is kept: train with -S train.keep_phases=true"
        raise UserError(f"ensemble.members: no weights of an earlier phase {phase!r}{known}")
    number = next(key.split(".")[2] for key, value in own.params.items() if _names_phase(key) and value == phase)
    size = own.params[f"recipe.phases.{number}.input_size"] or own.input_size
    return replace(own, input_size=size), file.read_bytes()


def _names_phase(key: str) -> bool:
    return key.startswith("recipe.phases.") and key.endswith(".name")


def _of_revision(name: str) -> tuple[saved.Spec, bytes]:
    from dvc.exceptions import DvcException  # a second that only such members cost
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    try:
        # not the workspace: a queued experiment runs in a copy that has neither the other experiments nor the cache
        with Repo(os.environ.get("DVC_ROOT") or ".", rev=name) as repo:
            files = [(saved.FOLDER / part).as_posix() for part in (saved.SPEC, saved.WEIGHTS)]
            spec, weights = (repo.dvcfs.read_bytes(file) for file in files)
    except (DvcException, SCMError, FileNotFoundError) as error:
        raise UserError(
            f"ensemble.members: no model of {name!r} ({error}): name a finished experiment ('dvc exp show'), a git "
            "revision, a folder with a saved model, or phase:NAME"
        ) from error
    return saved.parse(spec.decode(), name), weights
