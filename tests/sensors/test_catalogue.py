"""Formulas of spectral indices, against the package that they come from."""

import numpy as np
import pytest
import spyndex

from landuse import sensors
from landuse.core import formulas
from landuse.core.errors import UserError
from landuse.sensors.catalogue import formula as formula_of

RANDOM = np.random.default_rng(3)


def known(sensor: sensors.Sensor) -> dict[str, str]:
    found = {}
    for index in spyndex.indices:
        try:
            found[index] = formula_of(index, sensor)
        except UserError as error:
            assert f"data.bands has {index}, which is" in str(error)
    return found


@pytest.mark.parametrize(
    ("sensor", "places", "count"), [(sensors.SENTINEL2, "sentinel2a", 239), (sensors.LANDSAT, "landsat8", 189)]
)
def test_every_index_that_a_sensor_can_give_is_that_of_spyndex(sensor: sensors.Sensor, places: str, count: int) -> None:
    found = known(sensor)
    assert len(found) == count
    of = {band.name: RANDOM.uniform(0.02, 0.6, 50) for band in sensor.bands}
    called = {common: band for band in sensor.bands for common in band.common}
    bands = {short: called[one.common_name] for short, one in spyndex.bands.items() if one.common_name in called}
    assert {short for short, one in spyndex.bands.items() if hasattr(one, places)} - {"T1", "T2"} <= {*bands}
    given = {short: of[band.name] for short, band in bands.items()}
    given |= {f"lambda{short}": band.wavelength for short, band in bands.items()}
    given |= {short: one.default for short, one in spyndex.constants.items() if one.default is not None}
    with np.errstate(all="ignore"):
        for index, formula in found.items():
            expected = spyndex.computeIndex(index, given)
            np.testing.assert_allclose(formulas.read(formula)(of), expected, rtol=1e-9, err_msg=index)


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("kNDVI", "(kNN-kNR)/(kNN+kNR), but Sentinel-2 does not give kNN, kNR: leave it out"),
        ("NBRT1", "does not give T:"),
        ("VVVHR", "does not give VV, VH:"),
        ("NIRvP", "does not give PAR:"),
    ],
)
def test_what_an_index_lacks_is_told(index: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        sensors.choose(["B04", index])
    assert told in str(error.value)
    with pytest.raises(UserError, match="Landsat 8/9 does not give RE1"):
        sensors.choose(["SR_B4", "NDREI"])


def test_beyond_its_limits_an_index_tells_nothing() -> None:
    assert formulas.limits(formula_of("NDVI", sensors.SENTINEL2)) == (-1, 1)
    assert formulas.limits("2 * B04") == (-1, 2 * np.percentile([0.01, 0.05, 0.2, 0.5, 1], 99))
    for index in ("VARI", "SIPI", "NDDI", "MVI"):  # below the line is a difference, which is 0 somewhere
        assert max(np.abs(formulas.limits(formula_of(index, sensors.SENTINEL2)))) < 50
