"""Stage evaluate: the model on the test tiles -> metrics with intervals, predictions, plots."""

from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import evaluation, params

        evaluation.run(params.load("evaluate"))
