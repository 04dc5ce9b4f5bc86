"""Where a model comes from: a folder, or MLflow's registry and runs."""

import tempfile
from pathlib import Path

from landuse.core.errors import UserError
from landuse.inference.model import Model

_SCHEMES = ("models:", "runs:", "mlflow-artifacts:")


def load(model: str, threads: int) -> Model:
    """Load a folder as ``Model.load`` does, or what MLflow keeps under models:/NAME@ALIAS or runs:/ID/PATH.

    Raises:
        UserError: MLflow is not installed, has no such model, or one of another kind; and as ``Model.load``.
    """
    if not model.startswith(_SCHEMES):
        return Model.load(model, threads)
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError:
        raise UserError(f"--model {model} needs MLflow: pip install 'landuse[train]', or name a folder") from None
    with tempfile.TemporaryDirectory() as folder:
        try:
            place = Path(download_artifacts(artifact_uri=model, dst_path=folder))
        except (MlflowException, OSError) as error:
            raise UserError(f"MLflow has no {model} ({error}): set MLFLOW_TRACKING_URI, or name a folder") from None
        found = sorted(file.parent for file in place.rglob("model.json"))
        if len(found) != 1:
            raise UserError(f"{model} holds {len(found)} models of landuse: name what the stage export registered")
        return Model.load(found[0], threads)
