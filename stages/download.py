"""Stage download: the source's tiles, every one checked -> one array, an index, a description."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.data import writer

        writer.run(params.load("download"))
