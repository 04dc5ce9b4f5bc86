"""Stage split: labels -> train, validation and test rows, and a report of leakage."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.data.splits import stage as splits

        splits.run(params.load("split"))
