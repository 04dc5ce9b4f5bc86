"""An exported model as MLflow loads it: the code of the pyfunc flavour, without a pickle. MLflow runs this file.

In: an array (n, H, W, C) of raw pixel values, as the model takes them. Out: a data frame of n rows; label, its
probability, abstained, and ood, how strange the tile is (above 1: stranger than 95 % of the validation tiles).
"""

import warnings

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from landuse.inference import Model

with warnings.catch_warnings(record=True):  # MLflow asks for type hints, to make a signature of: it has one

    class _TileClassifier(PythonModel):
        def load_context(self, context: PythonModelContext) -> None:
            self.model = Model.load(context.artifacts["export"])

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
            answers = self.model.predict(model_input)
            return pd.DataFrame(
                {
                    "label": answers.labels,
                    "probability": answers.probabilities.max(axis=1),
                    "abstained": answers.abstained,
                    "ood": answers.ood,
                }
            )


set_model(_TileClassifier())
