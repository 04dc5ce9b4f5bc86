"""Export: one ONNX file, its description and its model card."""
