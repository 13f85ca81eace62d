"""Where bfloat16 makes a network faster, and where it is emulated and many times slower."""

import torch


def bf16_helps(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively; on a processor without it autocast was seven times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
