"""What ``dvc plots diff`` would draw: every plot of dvc.yaml, filled with the points of two experiments."""

from typing import Any

import pandas as pd
import pytest
import reported
import yaml
from conftest import ROOT
from dvc_render.vega import VegaRenderer

PLOTS: dict[str, dict[str, Any]] = {
    name: plot for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] for name, plot in entry.items()
}


def tables() -> dict[str, pd.DataFrame]:
    """The files that the plots are drawn from."""
    found = reported.inputs(["City", "Farmland"], 300, 10)
    assert found.history is not None and found.roc is not None and found.pr is not None
    assert found.reliability is not None and found.abstention is not None
    answers = pd.DataFrame({"actual": ["City", "Farmland", "City"], "predicted": ["City", "Farmland", "Farmland"]})
    return {
        "plots/history.csv": found.history,
        "plots/confusion.csv": answers,
        "plots/roc.csv": found.roc,
        "plots/pr.csv": found.pr,
        "plots/reliability.csv": found.reliability,
        "plots/abstention.csv": found.abstention,
    }


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_finds_its_template_and_columns(name: str) -> None:
    plot = PLOTS[name]
    ((file, fields),) = plot["y"].items()
    columns = [fields] if isinstance(fields, str) else fields
    table = tables()[file]
    points = [
        {**row, "rev": rev, "filename": file, "field": column, "dvc_inferred_y_value": row[column]}
        for rev in ("one", "two")
        for column in columns
        for row in table.astype(object).to_dict("records")
    ]
    settings = plot | {"y": columns[0] if len(columns) == 1 else "dvc_inferred_y_value"}
    settings["anchors_y_definitions"] = [{"filename": file, "field": column} for column in columns]
    filled = VegaRenderer(points, name, template_dir=str(ROOT / ".dvc/plots"), **settings).get_filled_template()
    assert "<DVC_METRIC" not in str(filled)
    assert filled["title"]["text"] == plot["title"]
    assert len(filled["data"]["values"]) == len(points)


def test_the_plots_are_those_that_experiments_are_compared_by() -> None:
    assert list(PLOTS) == ["loss", "accuracy", "confusion", "roc", "precision_recall", "reliability", "abstention"]
