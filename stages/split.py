"""Stage split: labels -> train, validation and test rows, and a report of leakage."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.data.splits import stage as splits

        splits.run(params.load("split"))
