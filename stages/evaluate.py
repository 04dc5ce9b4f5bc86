"""Stage evaluate: the model on the test tiles -> metrics with intervals, predictions, plots."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.evaluation import stage as evaluation

        evaluation.run(params.load("evaluate"))
