"""What model.json says, of this version, an older and a newer one."""

import json
import subprocess
import sys

import pytest
from trained import spec

from landuse.spec.model import ModelSpec

WRITTEN = spec(version=2, radiometric_offset=-1000, ground_resolution=10.0)


def test_what_is_written_is_read_again() -> None:
    assert ModelSpec.parse(WRITTEN.model_dump_json().encode()) == WRITTEN


def test_what_few_models_have_is_written_where_they_have_it() -> None:
    assert "resized" not in WRITTEN.model_dump()
    resized = spec(resized=True)
    assert ModelSpec.parse(resized.model_dump_json().encode()) == resized


def test_fields_of_a_newer_version_are_kept() -> None:
    network = {"backbone": "a", "seed": 1, "phase": None, "identity": "i", "weights": "w", "sensor": "Sentinel-2C"}
    calibration = {
        "temperature": 1.5,
        "power": 1.0,
        "reason": "a test",
        "coverage": 0.95,
        "abstention_threshold": 0.6,
        "conformal_method": "lac",
        "conformal_coverage": 0.99,
        "conformal_quantile": None,
        "views": 1,
        "members": [network],
        "drift": 0.1,
    }
    newer = WRITTEN.model_dump() | {"version": 3, "sensor": {"name": "Sentinel-2C"}, "calibration": calibration}
    assert ModelSpec.parse(json.dumps(newer).encode()).model_dump() == newer


def test_the_first_version_is_read() -> None:
    later = ("version", "radiometric_offset", "ground_resolution", "calibration", "input_adapter", "rgb")
    first = {name: value for name, value in WRITTEN.model_dump().items() if name not in later}
    read = ModelSpec.parse(json.dumps(first).encode())
    assert read.version == 1
    assert read.input_adapter == "repeat"  # which they did with 13 bands
    assert read.model_dump(exclude=set(later)) == first


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"mean": None}, "mean"),
        ({"bands": "B04"}, "bands"),
        ({"tile_size": "64"}, "tile_size"),
        ({"dtype": "float64"}, "dtype"),
        ({"calibration": {"temperature": 0}}, "calibration.temperature"),
        ({"input_adapter": "inflat"}, "input_adapter"),
        ({"input_adapter": "inflate", "rgb": None}, "rgb does not say where RGB lies"),
        ({"rgb": [3, 2, 1]}, r"rgb is \[3, 2, 1\], not three places among 3 channels"),
        ({"rgb": [0, 1, 1]}, "not three places"),
        ({"channels": [["NDVI", "(B08 - B04) / (B08 + B04)"]]}, "channel NDVI is .*, not of the bands B04, B03, B02"),
        ({"channels": [["X", "exec('B04')"]]}, "is more than numbers, names"),
        ({"channels": [["X", "B04 -"]]}, "'B04 -' is no formula"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(facts: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        ModelSpec.parse(json.dumps(WRITTEN.model_dump() | facts).encode())
    assert "\n" not in str(caught.value)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys, landuse.spec; print({'torch', 'mlflow', 'sklearn', 'scipy', 'pandas', 'dvc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
