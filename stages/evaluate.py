"""Stage evaluate: the model on tiles it has not learnt from -> answers, metrics with intervals, calibration."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.evaluation import stage as evaluation
        from landuse.prediction import stage as prediction

        loaded = params.load("evaluate")
        evaluation.run(loaded, prediction.run(loaded))
