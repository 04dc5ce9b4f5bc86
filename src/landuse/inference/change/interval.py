"""How far the shares of a pair of dates may be off: intervals by the bootstrap, and what correlated errors would do."""

import numpy as np
import numpy.typing as npt

from landuse.inference.change.answers import Answers, Floats
from landuse.inference.change.joint import HIGH, LOW, Joint, at, estimate

_DRAWS = 200
_STEP = 0.05  # of the nuisance parameters, for derivatives
CORRELATIONS = (0.0, 0.25, 0.5, 0.75)


def drawn(answers: Answers, joint: Joint, blocks: npt.NDArray[np.int64], seed: int) -> Floats:
    """(draws, K, K) shares of the bootstrap over blocks of the map, as large as errors hang together.

    T and the correlation move by one Newton step a draw, the shares are found anew. It treats the blocks as drawn from
    land like this, so it is rather too wide than too narrow for the scene itself.

    blocks: (cells,) which block each cell is in.
    """
    rng = np.random.default_rng(seed)
    numbers, block = np.unique(blocks, return_inverse=True)
    counts = answers.counts()
    slope, inverse = _newton(answers, joint, counts)
    shares = []
    for _ in range(_DRAWS):
        times = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)))
        again = answers.counts(times[block].astype(np.float64))
        moved = joint.nuisance + inverse @ ((again - counts) @ slope)
        shares.append(at(answers, again, np.clip(moved, LOW, HIGH), joint.shares).shares)
    return np.array(shares)


def sensitivity(answers: Answers) -> list[tuple[float, Floats]]:
    """The shares that each correlation of errors between the dates would mean."""
    return [(correlation, estimate(answers, correlation).shares) for correlation in CORRELATIONS]


def _newton(answers: Answers, joint: Joint, counts: Floats) -> tuple[Floats, Floats]:
    """(m, 3) slope of each pair's log-likelihood in T and correlation, and (3, 3) the inverse of the information."""
    steps = np.eye(3) * _STEP

    def near(*moves: Floats) -> Joint:
        return at(answers, counts, joint.nuisance + sum(moves), joint.shares)

    sides = [(near(step), near(-step)) for step in steps]
    slope = np.stack([(np.log(up.sums) - np.log(down.sums)) / (2 * _STEP) for up, down in sides], axis=1)
    curve = np.empty((3, 3))
    for i, (up, down) in enumerate(sides):
        curve[i, i] = (up.fit - 2 * joint.fit + down.fit) / _STEP**2
        for j in range(i):
            mixed = near(steps[i], steps[j]).fit - near(steps[i], -steps[j]).fit
            mixed += near(-steps[i], -steps[j]).fit - near(-steps[i], steps[j]).fit
            curve[i, j] = curve[j, i] = mixed / (4 * _STEP**2)
    values, vectors = np.linalg.eigh(-curve)
    information = (vectors * np.maximum(values, 1.0)) @ vectors.T  # 1: of what is known beforehand
    return slope, np.linalg.inv(information)
