"""timm's way: the pieces of its train.py, with the augmentation of small nadir tiles instead of ImageNet's.

--precision bf16 is what its --amp --amp-dtype bfloat16 does.
"""

import task
import torch
from timm.data import create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, accuracy
from timm.utils.model import freeze


def main() -> None:
    asked = task.read()
    device = torch.device("cpu")
    shared = {
        "input_size": (3, task.SIZE, task.SIZE),
        "batch_size": task.BATCH,
        "num_workers": task.WORKERS,
        "mean": task.MEAN,
        "std": task.STD,
        "device": device,
    }
    train_loader = create_loader(
        create_dataset("", root=asked.folder, split="train", is_training=True),
        is_training=True,
        no_aug=not asked.flips,
        scale=(1.0, 1.0),
        ratio=(1.0, 1.0),
        hflip=0.5,
        vflip=0.5,
        color_jitter=0.0,
        **shared,
    )
    val_loader = create_loader(create_dataset("", root=asked.folder, split="val"), crop_pct=1.0, **shared)

    model = task.network(asked.backbone, asked.labels)
    if names := task.frozen(model, asked.freeze):
        freeze(model, names)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=asked.lr, weight_decay=asked.weight_decay)
    updates = len(train_loader)
    schedule = None
    if asked.one_cycle:  # timm's own form of it: linear warm-up, then a cosine
        schedule, _ = create_scheduler_v2(
            optimizer,
            sched="cosine",
            num_epochs=asked.epochs,
            warmup_epochs=0.3 * asked.epochs,
            warmup_lr=asked.lr / 25,
            warmup_prefix=False,
            step_on_epochs=False,
            updates_per_epoch=updates,
        )
    loss_of = LabelSmoothingCrossEntropy(task.SMOOTHING)

    task.ready()
    for epoch in range(asked.epochs):
        model.train()
        for update, (images, targets) in enumerate(train_loader):
            with task.autocast(asked.precision):
                loss = loss_of(model(images), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if schedule:
                schedule.step_update(epoch * updates + update + 1)
        model.eval()
        top1 = AverageMeter()
        with torch.inference_mode(), task.autocast(asked.precision):
            for images, targets in val_loader:
                top1.update(accuracy(model(images), targets)[0].item(), len(targets))
        task.epoch_done(epoch + 1, top1.avg / 100)


if __name__ == "__main__":
    main()
