"""Stage train: train and validation tiles -> a model, its history and curves."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.training import stage as training

        training.run(params.load("train"))
