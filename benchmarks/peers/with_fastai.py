"""fastai's way: ImageDataLoaders, a Learner with parameter groups, freeze_to, fit or fit_one_cycle.

In fp32 alone: its to_bf16 is torch.autocast of CUDA, which does nothing on a CPU.
"""

import task
from fastai.callback.core import Callback
from fastai.callback.schedule import fit_one_cycle  # noqa: F401 - patches Learner
from fastai.learner import Learner
from fastai.losses import LabelSmoothingCrossEntropyFlat
from fastai.metrics import accuracy
from fastai.torch_core import params, set_seed
from fastai.vision.augment import DihedralItem
from fastai.vision.data import ImageDataLoaders, Normalize
from torch import nn


class Lines(Callback):
    order = 60  # after the Recorder, which computes the metrics

    def before_fit(self) -> None:
        task.ready()

    def after_epoch(self) -> None:
        task.epoch_done(self.epoch + 1, self.recorder.values[-1][-1])


def main() -> None:
    asked = task.read()
    set_seed(asked.seed)
    loaders = ImageDataLoaders.from_folder(
        asked.folder,
        train="train",
        valid="val",
        item_tfms=[DihedralItem()] if asked.flips else None,  # in the workers: its batch transforms resample
        batch_tfms=[Normalize.from_stats(task.MEAN, task.STD, cuda=False)],
        bs=task.BATCH,
        num_workers=task.WORKERS,
        device="cpu",
    )
    model = task.network(asked.backbone, asked.labels)
    still = task.frozen(model, asked.freeze)

    def splitter(network: nn.Module) -> list[list[nn.Parameter]]:
        pieces = task.pieces(network).items()
        return [[p for n, m in pieces if (n in still) == held for p in params(m)] for held in (True, False)]

    learner = Learner(
        loaders,
        model,
        loss_func=LabelSmoothingCrossEntropyFlat(eps=task.SMOOTHING),
        metrics=accuracy,
        splitter=splitter if still else lambda network: [params(network)],
        wd=asked.weight_decay,
        train_bn=False,  # else gradients go through all of the frozen stages
        cbs=Lines(),
    )
    if still:
        learner.freeze_to(1)
    with learner.no_bar(), learner.no_logging():
        if asked.one_cycle:
            learner.fit_one_cycle(asked.epochs, asked.lr)
        else:
            learner.fit(asked.epochs, asked.lr)


if __name__ == "__main__":
    main()
