"""Stage train: train and validation tiles -> a model, its history and curves."""

from landuse import params, training
from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        training.run(params.load("train"))
