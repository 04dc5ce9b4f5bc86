"""Formulas of spectral indices by name, for any sensor: those of Awesome Spectral Indices (Montero et al. 2023)."""

import ast

from landuse.core.errors import UserError, did_you_mean
from landuse.core.formulas import names, parsed
from landuse.sensors.tables import BY_NAME, Sensor

_OTHERWISE = {"BSI": "BI"}  # Rikimaru et al. 2002, as most call it and as the catalogue does


def formula(index: str, sensor: Sensor) -> str:
    """The formula of an index over bands of a sensor, see ``landuse.core.formulas``.

    Constants are filled in as the catalogue has them, wavelengths as the sensor's table does.

    Raises:
        UserError: there is no such index, or it needs what the sensor does not measure.
    """
    import spyndex  # a tenth of a second, and only who makes models has it

    found = spyndex.indices.get(_OTHERWISE.get(index, index))
    if found is None:
        known = [*BY_NAME, *spyndex.indices, *_OTHERWISE]
        alike = [name for name in known if name.lower() == index.lower()]
        raise UserError(f"data.bands has {index!r}, no band or index{did_you_mean(index, alike or known)}")
    called = {common: band for band in sensor.bands for common in band.common}
    bands = {short: called[one.common_name] for short, one in spyndex.bands.items() if one.common_name in called}
    values = {short: one.default for short, one in spyndex.constants.items() if one.default is not None}
    values |= {f"lambda{short}": band.wavelength for short, band in bands.items()}
    missing = [name for name in names(found.formula) if name not in bands and name not in values]
    if missing:
        raise UserError(
            f"data.bands has {index}, which is {found.formula}, but {sensor.name} does not give {', '.join(missing)}: "
            "leave it out"
        )

    class Filled(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            known = bands.get(node.id)
            return ast.Name(known.name) if known else ast.Constant(float(values[node.id]))

    return ast.unparse(Filled().visit(parsed(found.formula)))
