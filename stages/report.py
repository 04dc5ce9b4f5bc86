"""Stage report: what the other stages wrote -> pictures, explanations, one page, a model card."""

from landuse.core.errors import user_errors

if __name__ == "__main__":
    with user_errors():
        from landuse import params
        from landuse.report import stage as report

        report.run(params.load("report"))
