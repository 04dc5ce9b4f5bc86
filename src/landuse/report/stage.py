"""The stage report: pictures, explanations, the page and the model card, of what the other stages wrote."""

import numpy as np

from landuse import params, tracking
from landuse.core.files import write_text
from landuse.core.paths import ANSWERS, CARD, PAGE
from landuse.model import saved
from landuse.report import charts, documents, explain
from landuse.report.inputs import Inputs
from landuse.spec.answers import Answers
from landuse.spec.scaling import Scaling
from landuse.tiles.store import open_store


def run(p: params.Params) -> None:
    """Draw plots/*.png; explain the answers; write the page and the model card.

    Raises UserError: an input is missing or damaged.
    """
    store = open_store()
    inputs = Inputs.read(store)
    val, test = (Answers.load(ANSWERS / f"{part}.npz", len(store.images)) for part in ("val", "test"))
    model, _ = saved.load()
    names = inputs.spec.classes
    logits = np.concatenate([val.pooled(), test.pooled()])
    probabilities = np.exp(Scaling.of(inputs.calibration).log_probabilities(logits))
    found = explain.write(
        store,
        model,
        inputs.tiles.loc[np.concatenate([val.rows, test.rows])],
        probabilities,
        np.concatenate([val.features, test.features]),
        names,
        p.evaluate.seed,
    )
    drawn = charts.draw(inputs, found)
    write_text(CARD, documents.card(inputs, found))
    write_text(PAGE, documents.page(inputs, found, drawn))
    tracking.track("report", log_model=p.runtime.log_model)
    print(f"report: {PAGE}; model card: {CARD}")
