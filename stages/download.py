"""Stage download: the source's tiles, every one checked -> one array, an index, a description."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.data import writer

        writer.run(params.load("download"))
