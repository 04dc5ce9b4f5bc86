"""Stage export: the model -> one ONNX file that agrees with it, and a model card."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.export import stage as export

        export.run(params.load("export"))
