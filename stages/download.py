"""Stage download: the source's tiles, every one checked -> one array, an index, a description."""

from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params, tiles

        tiles.run(params.load("download"))
