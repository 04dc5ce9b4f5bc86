"""Stage map_to_binary: classes of the data -> the labels to learn; the others are kept aside."""

from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import labels, params

        labels.run(params.load("map_to_binary"))
