"""Stage split: labels -> train, validation and test rows, and a report of leakage."""

from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params, splits

        splits.run(params.load("split"))
