"""Members of an ensemble: the model of this training, and those that ``ensemble.members`` names.

A name is ``phase:NAME`` (the best weights of an earlier phase of this training, see ``train.keep_phases``), a folder
with a saved model, or a DVC experiment or git revision, whose model is read from DVC's cache or remote.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landuse.core.errors import UserError, did_you_mean
from landuse.core.outputs import damaged, read_bytes
from landuse.core.paths import MODEL, repository
from landuse.model import saved
from landuse.model.classifier import Classifier
from landuse.spec.model import ModelSpec, Network

_PHASE = "phase:"
_NAME = re.compile(r"recipe\.phases\.\d+\.name")  # the param
# what must be equal to answer the same question of the same pixels
_ALIKE = ("classes", "bands", "units", "radiometric_offset", "dtype", "tile_size", "layers")


@dataclass(frozen=True)
class Member:
    """A network in eval mode on the CPU. phase: of this training, None for its end. digest: SHA-256 of its weights."""

    model: Classifier
    spec: ModelSpec
    phase: str | None
    digest: str

    def facts(self) -> Network:
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

    Raises UserError where one cannot be found or read, answers another question than this model, was trained on other
    tiles or another split, or is there twice.
    """
    own = _restore(str(MODEL), *_of_folder(MODEL))
    found = {str(MODEL): own}
    for name in names:
        folder = repository() / name
        if name.startswith(_PHASE):
            member = _phase(name, own.spec)
        elif (folder / saved.SPEC).is_file():
            member = _restore(name, *_of_folder(folder))
        else:
            member = _restore(name, *_of_revision(name))
        _refuse_misfit(name, member, own.spec)
        for other, there in found.items():
            if there.digest == member.digest:
                raise UserError(f"ensemble.members: {name} is the same network as {other}: leave one of them out")
        found[name] = member
    return list(found.values())


def refuse_other_tiles(spec: ModelSpec, labels: list[str], info: Mapping[str, Any]) -> None:
    """Raise UserError where a model.json does not fit the question that tiles and split ask. info: of the store."""
    for field in _ALIKE:
        own, asked = getattr(spec, field), labels if field == "classes" else info.get(field)
        if (own or 0) != (asked or 0):  # None, too, is no offset
            reason = f"its {field} are {_short(own)}, those of the tiles {_short(asked)}"
            raise damaged(MODEL / saved.SPEC, "train", reason)


def _restore(name: str, described: bytes, weights: bytes) -> Member:
    """Build a member from the content of its two files."""
    with _naming(name, saved.SPEC):
        spec = saved.parse(described)
    return _member(name, spec, weights)


def _member(name: str, spec: ModelSpec, weights: bytes, phase: str | None = None) -> Member:
    with _naming(name, saved.WEIGHTS):
        return Member(saved.restore(spec, weights), spec, phase, hashlib.sha256(weights).hexdigest())


@contextmanager
def _naming(name: str, file: str) -> Iterator[None]:
    """Name the member, and its file, where that is damaged."""
    try:
        yield
    except (ValueError, UserError) as error:
        file = file if isinstance(error, ValueError) else saved.SPEC  # which gives the backbone's name
        if name == str(MODEL):
            raise damaged(MODEL / file, "train", error) from error
        told = f"the {file} of {name} is damaged, or of another version of landuse ({error})"
        raise UserError(f"ensemble.members: {told}: train that model again") from error


def _refuse_misfit(name: str, member: Member, own: ModelSpec) -> None:
    for field in _ALIKE:
        theirs, ours = getattr(member.spec, field), getattr(own, field)
        if (theirs or 0) != (ours or 0):
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
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    if isinstance(value, dict):  # a layer
        return f"{value['name']} (x {value['scale']:.6g} + {value['offset']:.6g}, {value['resampling']})"
    return str(value)


def _of_folder(folder: Path) -> tuple[bytes, bytes]:
    return read_bytes(folder / saved.SPEC, "train"), read_bytes(folder / saved.WEIGHTS, "train")


def _phase(name: str, own: ModelSpec) -> Member:
    phase = name.removeprefix(_PHASE)
    file = saved.phase_file(phase)
    if not file.is_file():
        kept = [each.stem for each in file.parent.glob("*.safetensors")]
        known = did_you_mean(phase, kept) if kept else "; none is kept: train with -S train.keep_phases=true"
        raise UserError(f"ensemble.members: no weights of an earlier phase {phase!r}{known}")
    key = next((key for key, value in own.params.items() if _NAME.fullmatch(key) and value == phase), "")
    size_key = key.removesuffix("name") + "input_size"
    if size_key not in own.params:
        raise damaged(MODEL / saved.SPEC, "train", f"its params name no phase {phase!r}")
    spec = own.model_copy(update={"input_size": own.params[size_key] or own.input_size})
    return _member(name, spec, read_bytes(file, "train"), phase)


def _of_revision(name: str) -> tuple[bytes, bytes]:
    from dvc.exceptions import DvcException  # a second that only such members cost
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    try:
        # not the workspace: a queued experiment runs in a copy that has neither the other experiments nor the cache
        with Repo(str(repository()), rev=name) as repo:
            files = [(MODEL / part).as_posix() for part in (saved.SPEC, saved.WEIGHTS)]
            described, weights = (repo.dvcfs.read_bytes(file) for file in files)
    except (DvcException, SCMError, FileNotFoundError) as error:
        kinds = "a finished experiment ('dvc exp show'), a git revision, a folder with a saved model, or phase:NAME"
        raise UserError(f"ensemble.members: no model of {name!r} ({error}): name {kinds}") from error
    return described, weights
