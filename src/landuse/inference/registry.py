"""Exported models in MLflow: where the folder is that an address names."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from landuse.core.errors import UserError

_PLACES = ("artifacts/export", ".")  # of a registered model; of what runtime.log_model stored


def local_folder(model: str) -> Path:
    """Return the folder of a model; of one in MLflow a copy, which is removed when the process ends.

    model: a folder; ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``, as ``export.register`` made it;
    ``runs:/ID/export``. MLflow looks for its store at ``MLFLOW_TRACKING_URI``, else for mlflow.db
    in the current folder.

    Raises:
        UserError: mlflow is not installed, does not find the model, or that is none of landuse's.
    """
    if not model.startswith(("models:/", "runs:/")):
        return Path(model)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", str(sys.stderr.isatty()))
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UserError(f"{model} is in MLflow, which is not installed here: pip install mlflow") from None
    kept = tempfile.mkdtemp(prefix="landuse-model-")
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    try:
        found = Path(download_artifacts(artifact_uri=model, dst_path=kept))
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise UserError(
            f"MLflow does not give {model} ({reason}): check its name, and MLFLOW_TRACKING_URI or the current folder"
        ) from error
    for place in _PLACES:
        if (found / place / "model.json").is_file():
            return found / place
    raise UserError(f"{model} is no model of landuse: name one that export.register made")
