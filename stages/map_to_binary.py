"""Stage map_to_binary: classes of the data -> the labels to learn; the others are kept aside."""

from landuse import labels, params
from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        labels.run(params.load("map_to_binary"))
