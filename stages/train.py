"""Stage train: train and validation tiles -> a model, its history and curves."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.training import stage as training

        training.run(params.load("train"))
