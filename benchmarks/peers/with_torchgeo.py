"""torchgeo's way: a NonGeoDataModule, ClassificationTask and Lightning's Trainer."""

from pathlib import Path
from typing import Any

import kornia.augmentation as K
import task
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoClassificationDataset
from torchgeo.trainers import ClassificationTask


class Tiles(NonGeoDataModule):
    """Class folders of images; batches are augmented and normalised by kornia, as in torchgeo's own modules."""

    mean, std = torch.tensor(task.MEAN) * 255, torch.tensor(task.STD) * 255

    def __init__(self, folder: Path, flips: bool) -> None:
        super().__init__(NonGeoClassificationDataset, task.BATCH, task.WORKERS)
        self.folder = folder
        augmentations = [K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5)] if flips else []
        normalize = K.Normalize(mean=self.mean, std=self.std)
        self.train_aug = K.AugmentationSequential(normalize, *augmentations, data_keys=None, keepdim=True)

    def setup(self, stage: str) -> None:  # noqa: ARG002
        self.train_dataset = self.dataset_class(str(self.folder / "train"))
        self.val_dataset = self.dataset_class(str(self.folder / "val"))


class OneCycle(ClassificationTask):
    weight_decay = 0.0

    def configure_optimizers(self) -> Any:
        lr = self.hparams["lr"]
        optimizer = torch.optim.AdamW(self.parameters(), lr=lr, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Lines(Callback):
    def on_train_start(self, trainer: Trainer, module: ClassificationTask) -> None:  # noqa: ARG002
        task.ready()

    def on_validation_end(self, trainer: Trainer, module: ClassificationTask) -> None:  # noqa: ARG002
        task.epoch_done(trainer.current_epoch + 1, trainer.callback_metrics["val_OverallAccuracy"].item())


def main() -> None:
    asked = task.read("--bf16-weights")
    seed_everything(asked.seed)
    kind = OneCycle if asked.one_cycle else ClassificationTask
    module = kind(
        model=asked.backbone,
        task="multiclass",
        num_classes=asked.labels,
        lr=asked.lr,
        freeze_backbone=asked.freeze == "backbone",
    )
    module.weight_decay = asked.weight_decay
    task.load_weights(module.model, asked.backbone)
    for name in task.frozen(module.model, asked.freeze):  # the task itself knows all or nothing
        module.model.get_submodule(name).requires_grad_(False)
    trainer = Trainer(
        max_epochs=asked.epochs,
        accelerator="cpu",
        precision="bf16-true" if asked.bf16_weights else {"fp32": "32-true", "bf16": "bf16-mixed"}[asked.precision],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Lines()],
    )
    trainer.fit(module, datamodule=Tiles(asked.folder, asked.flips))


if __name__ == "__main__":
    main()
