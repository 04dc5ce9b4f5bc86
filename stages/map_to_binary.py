"""Stage map_to_binary: classes of the data -> the labels to learn; the others are kept aside."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.data import labels

        labels.run(params.load("map_to_binary"))
