"""The exported model in MLflow's model registry: a pyfunc flavour of files and code, without a pickle."""

import hashlib
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from landuse.core.outputs import read_bytes, read_json
from landuse.core.paths import EXPORT, workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_FILES = ("model.onnx", "model.json", "reference.npz")
_PACKAGE = Path(__file__).parents[1]
_CODE = "inference/mlflow_model.py"
_ROOMS = ("__init__.py", "core", "spec", "sensors", "inference")  # all that it imports of landuse
_NEEDS = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic", "pyyaml", "tqdm", "typing-extensions")
_DIGEST = "landuse.export.sha256"  # tag of a version: of all its files


def register(client: "MlflowClient", run_id: str, registered: str) -> None:
    """Make the exported model a version of a registered model; the same files make no second one.

    run_id: of the training. registered: NAME or NAME@ALIAS; the alias moves to this version.

    Raises:
        UserError: a file of it is missing or damaged.
    """
    name, _, alias = registered.partition("@")
    content = hashlib.sha256()
    for file in _FILES:
        content.update(hashlib.sha256(read_bytes(workspace() / EXPORT / file, "export")).digest())
    digest = content.hexdigest()
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    known = [each for each in client.search_model_versions(f"name = '{name}'") if each.tags.get(_DIGEST) == digest]
    if not known:
        place = f"registered-{digest[:8]}"
        with TemporaryDirectory() as folder:
            _save(Path(folder))
            client.log_artifacts(run_id, str(Path(folder, "model")), place)
        # by the run, whose artefacts may move with the repository
        known = [client.create_model_version(name, f"runs:/{run_id}/{place}", run_id, tags={_DIGEST: digest})]
    if alias:
        client.set_registered_model_alias(name, alias, known[0].version)


def _save(folder: Path) -> None:
    """Write the model as MLflow loads it to ``folder / "model"``, with the code, so that landuse need not be there."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # for three files that are here
    import mlflow.pyfunc

    for file in _FILES:
        (folder / "export").mkdir(exist_ok=True)
        shutil.copy(workspace() / EXPORT / file, folder / "export")
    for room in _ROOMS:
        source, target = _PACKAGE / room, folder / "code" / "landuse" / room
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    described = read_json(folder / "export/model.json", "export", dict[str, Any])
    shape = (described["tile_size"], described["tile_size"], len(described["bands"]))
    example = np.broadcast_to(np.array(described["mean"]), (1, *shape)).astype(described["dtype"])
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(_PACKAGE / _CODE),
        artifacts={"export": str(folder / "export")},
        code_paths=[str(folder / "code/landuse")],
        signature=_signature(shape, described["dtype"]),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in _NEEDS],
    )


def _signature(shape: tuple[int, ...], dtype: str) -> "ModelSignature":
    """Any number of tiles in, a row of a table for each out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns = {"label": "string", "probability": "float", "abstained": "boolean", "ood": "float"}
    return ModelSignature(
        Schema([TensorSpec(np.dtype(dtype), (-1, *shape))]),
        Schema([ColSpec(kind, name) for name, kind in columns.items()]),
    )
