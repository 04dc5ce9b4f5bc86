"""MLflow: one run for one pipeline identity, filled live by training and from files by everything else.

What is logged comes from files that the pipeline writes (model.json, history.csv, metrics, pictures), so a
stage that DVC restored from its cache is logged like one that ran, and logging again adds nothing.
Nothing of MLflow ever goes back into those files.
"""

from landuse.tracking.runs import Run, check, run, study, track

__all__ = ["Run", "check", "run", "study", "track"]
