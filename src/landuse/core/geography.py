"""Places on the Earth: which tiles have one, and the distances that mean something."""

import numpy as np
import numpy.typing as npt
import pandas as pd

EARTH_KM = 6371.0088  # mean radius (IUGG)
DEGREE_KM = np.pi / 180 * EARTH_KM  # of latitude
PLACE = ["latitude", "longitude"]  # WGS84 degrees of a tile's centre
TILE_KM, NEAR_KM = 0.64, 5.0  # the side of a tile of EuroSAT, and what still is the same landscape


def on_the_sphere(places: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Unit vectors (n, 3) of latitudes and longitudes in degrees."""
    latitude, longitude = np.radians(places[PLACE].to_numpy(dtype=np.float64)).T
    around = np.cos(latitude)
    return np.stack([around * np.cos(longitude), around * np.sin(longitude), np.sin(latitude)], axis=1)


def placed(tiles: pd.DataFrame) -> pd.DataFrame:
    """The tiles with latitude and longitude; none where the table lacks these columns."""
    return tiles.dropna(subset=PLACE) if set(PLACE) <= set(tiles.columns) else tiles[:0]
