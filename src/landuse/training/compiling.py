"""torch.compile of the network's passes in training."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from landuse.core.errors import UserError


def compiled(network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what computes as the network does, forward and backward, by code made for this phase.

    It shares the network's weights and is never saved, copied or averaged: names in the state dict and the means of
    weights stay what they are. The first batch compiles. Validation does not use it: its last batch, of another size,
    and its other mode would be compiled as well.

    Raises:
        UserError: torch cannot compile here.
    """
    torch.compiler.reset()  # else a recipe of many phases would come to torch's limit, eight versions of a function
    try:
        torch.compile(_probe)(torch.ones(8, device=device))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        reason = str(error).strip().splitlines()[0]
        remedy = (
            "install a C++ compiler (g++ or clang++)" if device.type == "cpu" else "install a C compiler and Triton"
        )
        raise UserError(f"train.compile does not work here: {remedy}, or set it to false ({reason})") from None
    return torch.compile(network)


def _probe(x: Tensor) -> Tensor:
    return x.sin() + 1
