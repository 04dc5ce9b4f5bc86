"""What ``dvc plots diff`` would draw: every plot of dvc.yaml, filled with the points of two experiments."""

from typing import Any

import pandas as pd
import pytest
import run_facts
import yaml
from conftest import ROOT
from dvc_render.vega import VegaRenderer
from dvc_render.vega_templates import TEMPLATES

PLOTS: dict[str, dict[str, Any]] = {
    name: plot for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] for name, plot in entry.items()
}


TABLES = {
    "plots/history.csv": run_facts.history(),
    "plots/confusion.csv": pd.DataFrame({"actual": ["City", "Farmland"], "predicted": ["City", "City"]}),
    "plots/roc.csv": pd.DataFrame({"fpr": [0.0, 1.0], "tpr": [0.5, 1.0]}),
    "plots/pr.csv": pd.DataFrame({"recall": [0.0, 1.0], "precision": [1.0, 0.5]}),
    "plots/reliability.csv": pd.DataFrame(
        {"stage": ["before", "after"], "confidence": [0.8, 0.9], "accuracy": [1.0, 0.9]}
    ),
    "plots/abstention.csv": pd.DataFrame({"coverage": [0.5, 1.0], "accuracy": [1.0, 0.9]}),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_finds_its_template_and_columns(name: str) -> None:
    plot = PLOTS[name]
    ((file, fields),) = plot["y"].items()
    columns = [fields] if isinstance(fields, str) else fields
    table = TABLES[file]
    points = [
        {**row, "rev": rev, "filename": file, "field": column, "dvc_inferred_y_value": row[column]}
        for rev in ("one", "two")
        for column in columns
        for row in table.astype(object).to_dict("records")
    ]
    settings = plot | {"y": columns[0] if len(columns) == 1 else "dvc_inferred_y_value"}
    settings["anchors_y_definitions"] = [{"filename": file, "field": column} for column in columns]
    filled = VegaRenderer(points, name, **settings).get_filled_template()
    assert "<DVC_METRIC" not in str(filled)
    assert filled["title"]["text"] == plot["title"]
    assert len(filled["data"]["values"]) == len(points)


def test_the_plots_are_those_that_experiments_are_compared_by() -> None:
    assert list(PLOTS) == ["loss", "accuracy", "confusion", "roc", "precision_recall", "reliability", "abstention"]
    assert {plot["template"] for plot in PLOTS.values()} <= {template.DEFAULT_NAME for template in TEMPLATES}
