"""The optimiser of the recipe: Muon for the matrices of the transformers, AdamW for all else."""

from pathlib import Path

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

__all__ = ["bf16_is_fast", "build_optimizers", "restore", "set_rate", "state_of"]


def bf16_is_fast() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware; emulated, they are slower than fp32.

    Measured with avx512_bf16: the vision tower takes 0.4 of its time in fp32.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def build_optimizers(stage: nn.Module, rate: float) -> list[Optimizer]:
    """Optimisers of what ``stage`` trains.

    Muon orthogonalises the update of a matrix; its step is scaled to the size of AdamW's, so one
    rate serves both. Embeddings, convolutions, vectors and small matrices are AdamW's.
    """
    matrices, others = [], []
    for module in stage.modules():
        inner = isinstance(module, nn.Linear) and min(module.weight.shape) >= 64
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                (matrices if inner and name == "weight" else others).append(parameter)
    optimizers: list[Optimizer] = [AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.02)]
    if matrices:
        optimizers.append(
            Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
        )
    return optimizers


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Set the rate of every group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def state_of(optimizers: list[Optimizer]) -> list[dict]:
    """What is needed to go on."""
    return [optimizer.state_dict() for optimizer in optimizers]


def restore(optimizers: list[Optimizer], states: list[dict]) -> None:
    """Undo :func:`state_of`."""
    for optimizer, saved in zip(optimizers, states, strict=True):
        optimizer.load_state_dict(saved)
