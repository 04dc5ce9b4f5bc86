"""Stage map_to_binary: classes of the data -> the labels to learn; the others are kept aside."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.data import labels

        labels.run(params.load("map_to_binary"))
