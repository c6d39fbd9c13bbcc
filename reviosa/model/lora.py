"""LoRA on the language model, and what trains beside it (REVIOSA.md 1.5)."""

from typing import TYPE_CHECKING

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from reviosa.errors import ConfigError

if TYPE_CHECKING:
    from reviosa.model.modeling import ReviosaModel

__all__ = [
    "fold_adapters",
    "freeze_for_training",
    "inject_lora",
    "merge_lora",
    "recompute_activations",
    "trainable_names",
]

_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def inject_lora(
    model: "ReviosaModel", rank: int = 128, alpha: int = 256, dropout: float = 0.05
) -> None:
    """Put adapters into every projection of the language model; the defaults are the release's.

    A model that has the same adapters already, as a converted training checkpoint does, keeps them.

    Raises:
        ConfigError: the model has adapters of another size.
    """
    wanted = {"rank": rank, "alpha": alpha, "dropout": dropout}
    if any(isinstance(module, LoraLayer) for module in model.language_model.modules()):
        if model.config.lora != wanted:
            raise ConfigError(
                f"the checkpoint has adapters of {model.config.lora}, the run asks for {wanted}; "
                "train with the same, or merge them first (reviosa convert --to reviosa, and back)"
            )
        return
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none", target_modules=_TARGETS
    )
    inject_adapter_in_model(settings, model.language_model)
    model.config.lora = wanted


def fold_adapters(module: nn.Module) -> None:
    """Fold all adapters inside ``module`` into the weights they adapt, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())


def merge_lora(model: "ReviosaModel") -> None:
    """Fold the adapters into the weights they adapt, in place; nothing happens without any."""
    fold_adapters(model.language_model)
    model.config.lora = None


def freeze_for_training(model: "ReviosaModel") -> None:
    """Set which parts train: those of the release (REVIOSA.md 1.5).

    Trained: the adapters (or the whole language model where there are none), token embeddings and
    head, the projector, MLP_seg and SAM2's mask decoder. Frozen: the vision tower and the rest of
    SAM2, its memory included.
    """
    model.requires_grad_(False)
    language = model.language_model
    if model.config.lora:
        for name, parameter in language.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        language.requires_grad_(True)
    trained: list[nn.Module] = [
        model.get_input_embeddings(),
        model.get_output_embeddings(),
        model.mllm.model.multi_modal_projector,
        model.seg_projector,
        model.sam2.sam_mask_decoder,
    ]
    for module in trained:
        module.requires_grad_(True)


def trainable_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that train, in the model's order."""
    return tuple(name for name, p in model.named_parameters() if p.requires_grad)


def recompute_activations(model: "ReviosaModel") -> None:
    """Recompute the language model's activations in the backward pass: slower, less memory.

    Non-reentrant, because a reentrant region runs without a graph, and attention mask loss needs
    the graph of the attention rows.
    """
    language = model.language_model
    # transformers renamed the method after 5.17; the old name warns in newer releases.
    name = "activation_checkpointing_enable"
    enable = getattr(language, name, None) or language.gradient_checkpointing_enable
    enable({"use_reentrant": False})
