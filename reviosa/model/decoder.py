"""Where a model's attention is: the modules of its text decoder, by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from reviosa.errors import ConfigError, ReviosaError
from reviosa.model.attention_functions import goes_through_interface

__all__ = ["Decoder", "find_decoder", "unwrap"]


@dataclass(frozen=True)
class Decoder:
    """The text decoder of a model; for one that sees, its language model without the tower."""

    module: nn.Module
    attention: dict[int, nn.Module]
    """Attention module of each layer that goes through transformers' attention interface. Layers
    of another kind, such as convolutions, linear or cross attention, are not in it."""

    def choose(self, layers: Sequence[int] | None) -> tuple[int, ...]:
        """The layers that were asked for, sorted; all with attention when None.

        Raises:
            ConfigError: a layer does not exist or has no attention, or none is asked for.
        """
        known = sorted(self.attention)
        if layers is None:
            return tuple(known)
        if not layers:
            raise ConfigError("got no layer, expected one or more; leave layers out for all")
        whole = known == list(range(len(known)))
        has = f"layers 0 to {known[-1]}" if whole else f"attention in layers {known}"
        for layer in layers:
            if layer not in self.attention:
                raise ConfigError(f"layer {layer} does not exist: the language model has {has}")
        return tuple(sorted(set(layers)))


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of peft and of distributed training."""
    while True:
        inner = getattr(model, "module", None)
        if hasattr(model, "get_base_model"):
            model = model.get_base_model()
        elif isinstance(inner, nn.Module):
            model = inner
        else:
            return model


def find_decoder(model: nn.Module) -> Decoder:
    """Find the decoder of a model and its attention modules.

    Raises:
        ReviosaError: none of its modules goes through transformers' attention interface, two stand
            for one layer, or the model is an encoder with a decoder.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise ReviosaError(
            f"{type(model).__name__} is an encoder with a decoder, whose layers have two "
            "attentions each; attention is recorded of models that are a decoder alone"
        )
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model
    attention: dict[int, nn.Module] = {}
    for module in decoder.modules():
        layer = getattr(module, "layer_idx", None)
        # Keys of cross attention are not the tokens of the sequence.
        if "cross" in _name(module) or not isinstance(layer, int):
            continue
        if not goes_through_interface(module):
            continue
        if layer in attention:
            raise ReviosaError(
                f"{type(decoder).__name__} has two attention modules of layer {layer}, "
                f"{type(attention[layer]).__name__} and {type(module).__name__}; attention is "
                "recorded where each layer has one"
            )
        attention[layer] = module
    if not attention:
        raise ReviosaError(_nothing_found(model, decoder))
    return Decoder(decoder, attention)


def _nothing_found(model: nn.Module, decoder: nn.Module) -> str:
    kinds = sorted({type(m).__name__ for m in decoder.modules() if "attention" in _name(m)})
    found = f"found {', '.join(kinds)}" if kinds else "found no module named attention"
    return (
        f"attention of {type(model).__name__} cannot be recorded: {found}, and none with a "
        "layer_idx that calls ALL_ATTENTION_FUNCTIONS, transformers' attention interface. Take "
        "transformers' own class of the model where it does, or write its attention by "
        "huggingface.co/docs/transformers/attention_interface and give it `config` and `layer_idx`"
    )


def _name(module: nn.Module) -> str:
    return type(module).__name__.lower()
