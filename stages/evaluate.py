"""Stage evaluate: the model on tiles it has not learnt from -> answers, metrics with intervals, calibration."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.core.outputs import read_json
        from landuse.core.paths import TRAIN_METRICS
        from landuse.core.results import Trained
        from landuse.evaluation import stage as evaluation
        from landuse.prediction import stage as prediction

        loaded = params.load("evaluate")
        trained = read_json(TRAIN_METRICS, "train", Trained)  # what is missing is told before minutes of predictions
        evaluation.run(loaded, trained, prediction.run(loaded))
