"""Weights and optimiser of a training as tensors that safetensors can hold, and back."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_OF_ADAM = ("step", "exp_avg", "exp_avg_sq")


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of a model's parameters and buffers, on the processor."""
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in model.state_dict().items()}


def state_of(optimizer: Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter of its first group, named by the parameter's number."""
    return {f"{number}.{name}": torch.as_tensor(value).contiguous()
            for number, parameter in enumerate(optimizer.param_groups[0]["params"])
            for name, value in optimizer.state.get(parameter, {}).items()}


def restore(optimizer: Optimizer, state: dict[str, Tensor]) -> None:
    """Puts an Adam optimiser back to what `state_of` gave."""
    for number, parameter in enumerate(optimizer.param_groups[0]["params"]):
        if f"{number}.step" in state:
            optimizer.state[parameter] = {name: state[f"{number}.{name}"] for name in _OF_ADAM}
