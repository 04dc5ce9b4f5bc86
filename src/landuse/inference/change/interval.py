"""How far the shares of a pair of dates may be off: intervals by the bootstrap, and what correlated errors would do."""

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from landuse.inference.change.answers import Answers, Floats
from landuse.inference.change.joint import USUAL, Joint, at, estimate, likeliest, sums

_DRAWS = 200
_STEP = 0.05  # of T and correlation as ``Joint`` has them, for derivatives
CORRELATIONS = (0.0, 0.25, 0.5, 0.75)


def drawn(answers: Answers, joint: Joint, blocks: npt.NDArray[np.int64], seed: int) -> Floats:
    """(draws, K, K) shares of the bootstrap over blocks of the map, as large as errors hang together.

    In each draw the shares are found anew, and moved as T and the correlation move by one Newton step. It treats the
    blocks as drawn from land like this, so it is rather too wide than too narrow for the scene itself.

    blocks: (cells,) which block each cell is in.
    """
    rng = np.random.default_rng(seed)
    numbers, block = np.unique(blocks, return_inverse=True)
    counts = answers.counts()
    step, turn = _newton(answers, joint, counts)
    shares = []
    for _ in tqdm(range(_DRAWS), "interval", unit="draw", delay=5, disable=None, leave=False):
        times = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)))
        again = answers.counts(times[block].astype(np.float64))
        found = likeliest(joint.likely, again, joint.shares)
        moved = np.maximum(found + np.tensordot((again - counts) @ step, turn, 1), 0)
        shares.append(moved / moved.sum())
    return np.array(shares)


def sensitivity(answers: Answers) -> list[tuple[float, Floats]]:
    """The shares that each correlation of errors between the dates would mean."""
    return [(correlation, estimate(answers, correlation).shares) for correlation in CORRELATIONS]


def _newton(answers: Answers, joint: Joint, counts: Floats) -> tuple[Floats, Floats]:
    """How T and correlation move with the cells, and the shares with them.

    Returns:
        (m, 3) step of each parameter for one cell more of each pair, by its score and the information in the scores of
        all; (3, K, K) slope of each share.
    """
    sides = [
        [at(answers, counts, joint.nuisance + side * move, joint.shares) for side in (1, -1)]
        for move in np.eye(3) * _STEP
    ]
    logs = [[np.log(sums(end.likely, end.shares)) for end in ends] for ends in sides]
    score = np.stack([(up - down) / (2 * _STEP) for up, down in logs], axis=1)
    information = score.T @ (score * counts[:, None]) + np.diag(1 / USUAL**2)
    turn = np.stack([(up.shares - down.shares) / (2 * _STEP) for up, down in sides])
    return score @ np.linalg.inv(information), turn
