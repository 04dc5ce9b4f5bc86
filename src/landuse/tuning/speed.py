"""Speed on this machine: tiles per second in each number format, compiled or not, for the chosen params and data.

``train.precision: auto`` is a table, so that a rerun is identical; here is what a table cannot know. Nothing is kept:
the weights on disk and the state of a training stay as they are.
"""

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import torch
from tabulate import tabulate
from torch import Tensor

from landuse import params
from landuse.core.errors import UserError
from landuse.training import augment, precision
from landuse.training.epochs import shown, shuffled
from landuse.training.prepare import Prepared, prepare
from landuse.training.process import configure
from landuse.training.step import Stepper

SECONDS = 25.0  # of measuring, warm-up aside
_LEAST_ROUNDS = 3
_UNIT = 0.2  # seconds of one measurement, at least
_BATCHES = 4  # different ones

Batch = tuple[Tensor, Tensor]


class Choice:
    """A number format, compiled or not, and its measured tiles per second, round by round.

    warm_up: seconds of the first batch, which compiles.
    """

    def __init__(self, stepper: Stepper, compiled: bool, batches: Sequence[Batch]) -> None:
        self.stepper, self.compiled, self._batches = stepper, compiled, batches
        self.warm_up = self._seconds(self._train, 1)
        self._count = max(1, round(_UNIT / self._seconds(self._train, 1)))
        self._seconds(self._infer, 1)
        self.training: list[float] = []
        self.inference: list[float] = []

    @property
    def precision(self) -> str:
        return self.stepper.precision

    def measure(self) -> None:
        """Train and infer for a moment."""
        tiles = self._count * len(self._batches[0][1])
        self.training.append(tiles / self._seconds(self._train, self._count))
        self.inference.append(tiles / self._seconds(self._infer, self._count))

    def seconds(self, tiles: int) -> float:
        """Time to train on so many tiles, compiling included."""
        return tiles / statistics.median(self.training) + self.compiled * self.warm_up

    def _train(self, batch: Batch) -> None:
        self.stepper.batch(*batch)

    def _infer(self, batch: Batch) -> None:
        model = self.stepper.model.eval()
        with torch.inference_mode(), precision.autocast(self.precision, self.stepper.device):
            model(batch[0])
        model.train()

    def _seconds(self, work: Callable[[Batch], None], count: int) -> float:
        batches = itertools.islice(itertools.cycle(self._batches), count)
        return _seconds(self.stepper.device, map(work, batches))


def run(p: params.Params, compiled: bool, seconds: float = SECONDS) -> None:
    """Measure the recipe's longest phase; print a table, the share of the data path and the fastest choice.

    compiled: measure ``train.compile`` too. seconds: to measure for.
    """
    if p.recipe.fit:
        raise UserError(f"{p.model.backbone} is fitted at once, in float32: there is no training speed to choose")
    phase = max(p.recipe.phases, key=lambda phase: phase.epochs)
    configure()
    ready = prepare(p)
    spec, train = ready.spec, ready.train
    print(
        f"phase {phase.name} of recipe {p.train.recipe}: {spec.backbone} at {spec.input_size} px, frozen: "
        f"{phase.freeze}, batches of {train.batch_size}, on {train.device.type} ({torch.get_num_threads()} threads)",
        flush=True,
    )
    choices = measure(p, phase, ready, compiled, seconds)
    auto = precision.resolve("auto", train.device)
    print(table(choices, auto))
    tiles = shown(train)
    best = min(choices, key=lambda choice: choice.seconds(phase.epochs * tiles))
    data, computing = data_path(p, ready), tiles / statistics.median(best.training)
    print(f"data path: {data / (data + computing):.1%} of an epoch, {data:.2f} s beside {computing:.1f} s of training")
    word = f"-S train.precision={best.precision}" + " -S train.compile=true" * best.compiled
    as_auto = ", as auto has it" if best.precision == auto and not best.compiled else ""
    print(f"fastest for {phase.epochs} epochs{as_auto}: dvc exp run {word}")


def measure(p: params.Params, phase: params.Phase, ready: Prepared, compiled: bool, seconds: float) -> list[Choice]:
    """Train and infer on batches that are on the device already, all choices in turn, until the time is up.

    In turn, since other programs come and go: they disturb all choices alike.
    """
    ready.model.freeze(phase.freeze, phase.bn, p.model.adapter_learns)
    ready.model.train()
    # a schedule would end, and its learning rates cost nothing
    still = phase.model_copy(update={"scheduler": "constant"})
    combinations = [(word, code) for code in ([False, True] if compiled else [False]) for word in _able(phase, ready)]
    of = [p.train.model_copy(update={"precision": word, "compile": code}) for word, code in combinations]
    steppers = [Stepper(ready.model, still, p.model_copy(update={"train": train}), ready.train) for train in of]
    classes = len(ready.spec.classes)
    drawn = itertools.islice(shuffled(ready.train, p.train.seed, 1, p.augment), _BATCHES)
    batches = [augment.mix(p.augment, pixels, targets, classes) for pixels, targets in drawn]
    # steppers first: what one of them compiles would be lost when the next one is made
    choices = [Choice(stepper, code, batches) for stepper, (_, code) in zip(steppers, combinations, strict=True)]
    ends = time.perf_counter() + seconds
    while len(choices[0].training) < _LEAST_ROUNDS or time.perf_counter() < ends:
        for choice in choices:
            choice.measure()
    return choices


def table(choices: Sequence[Choice], auto: str) -> str:
    """Medians, with a mark at what ``train.precision: auto`` takes. Validation is never compiled."""
    rows = [
        {
            "precision": choice.precision + " (auto)" * (choice.precision == auto),
            "compiled": "yes" if choice.compiled else "no",
            "training tiles/s": f"{statistics.median(choice.training):,.0f}",
            "inference tiles/s": f"{statistics.median(choice.inference):,.0f}",
            "warm-up s": f"{choice.warm_up:.1f}",
        }
        for choice in choices
    ]
    sides = ("left", "left", "right", "right", "right")
    return str(tabulate(rows, headers="keys", colalign=sides, disable_numparse=True))


def data_path(p: params.Params, ready: Prepared) -> float:
    """Seconds that gathering, moving and augmenting the tiles of an epoch take, alone."""
    batches, classes = shuffled(ready.train, p.train.seed, 1, p.augment), len(ready.spec.classes)
    return _seconds(ready.train.device, (augment.mix(p.augment, *batch, classes) for batch in batches))


def _able(phase: params.Phase, ready: Prepared) -> Iterator[str]:
    """Yield the precisions that are worth a measurement: fp16 on a CPU takes a minute for a batch."""
    device = ready.train.device
    yield "fp32"
    for word in ["bf16"] if device.type == "cpu" or phase.optimizer == "sam" else ["bf16", "fp16"]:
        with suppress(UserError):  # this device cannot
            precision.check(word, device)
            yield word


def _seconds(device: torch.device, work: Iterable[object]) -> float:
    """How long it takes to do it all, with what it gives to an accelerator and without what that was given before."""

    def wait() -> float:
        if device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter()

    started = wait()
    deque(work, maxlen=0)
    return wait() - started
