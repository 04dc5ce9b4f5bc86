"""Stage report: what the other stages wrote -> pictures, explanations, one page, a model card."""

from landuse.core.errors import program

if __name__ == "__main__":
    with program():
        from landuse import params
        from landuse.report import stage as report

        report.run(params.load("report"))
