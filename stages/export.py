"""Stage export: the model -> one ONNX file that agrees with it, and a model card."""

from landuse.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import export, params

        export.run(params.load("export"))
