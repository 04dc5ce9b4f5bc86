"""Wilson's interval of a proportion."""

import math
from statistics import NormalDist


def wilson(successes: float, count: float, confidence: float) -> tuple[float, float]:
    """Return the ends of the score interval (Wilson 1927, J. Am. Stat. Assoc. 22) of successes among count > 0."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
