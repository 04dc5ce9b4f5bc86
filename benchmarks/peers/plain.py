"""The plain PyTorch loop: ImageFolder, PIL transforms, a DataLoader with workers."""

import task
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def main() -> None:
    asked = task.read()
    flips = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()] if asked.flips else []
    to_input = [transforms.ToTensor(), transforms.Normalize(task.MEAN, task.STD)]
    train_set = ImageFolder(asked.folder / "train", transforms.Compose(flips + to_input))
    val_set = ImageFolder(asked.folder / "val", transforms.Compose(to_input))
    workers = {"batch_size": task.BATCH, "num_workers": task.WORKERS, "persistent_workers": True}
    train_loader = DataLoader(train_set, shuffle=True, drop_last=True, **workers)
    val_loader = DataLoader(val_set, **workers)

    model = task.network(asked.backbone, asked.labels)
    still = [model.get_submodule(name) for name in task.frozen(model, asked.freeze)]
    for module in still:
        module.requires_grad_(False)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=asked.lr, weight_decay=asked.weight_decay)
    steps = asked.epochs * len(train_loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, asked.lr, total_steps=steps) if asked.one_cycle else None

    task.ready()
    for epoch in range(1, asked.epochs + 1):
        model.train()
        for module in still:
            module.eval()
        for images, targets in train_loader:
            optimizer.zero_grad()
            with task.autocast(asked.precision):
                loss = F.cross_entropy(model(images), targets, label_smoothing=task.SMOOTHING)
            loss.backward()
            optimizer.step()
            if schedule:
                schedule.step()
        model.eval()
        correct = 0
        with torch.no_grad(), task.autocast(asked.precision):
            for images, targets in val_loader:
                correct += (model(images).argmax(1) == targets).sum().item()
        task.epoch_done(epoch, correct / len(val_set))


if __name__ == "__main__":
    main()
