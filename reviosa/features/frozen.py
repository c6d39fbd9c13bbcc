"""Features of frames by way of the store: read where they are known, else computed and kept.

An entry's name says everything that decides its bits: the encoder's weights and settings, how the
frame was prepared, what computed it, and the frame's own content. Frames are encoded one by one
(:mod:`reviosa.model.frozen`), so the frames beside it do not.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from torch import Tensor

from reviosa.features.frame import Frame
from reviosa.features.keys import machine_facts, numeric_facts, weights_digest
from reviosa.features.store import FeatureStore
from reviosa.model.processor import ReviosaProcessor, normalise
from reviosa.model.segmenter import FrameFeatures, encode_maps, finish_maps

if TYPE_CHECKING:
    from reviosa.model import ReviosaModel

__all__ = ["FrameBatch", "FrozenFeatures"]

_Encoder = Literal["vision", "sam"]
_SCHEMA: Final = 1
"""Of what is stored: raised when the code here, or in the model, changes a bit of it."""


class FrozenFeatures:
    """What vision tower and SAM2's image encoder make of frames; neither may be training.

    Args:
        processor: of the model.
        store: where features are kept; they are computed each time without.
    """

    def __init__(self, processor: ReviosaProcessor, store: FeatureStore | None = None) -> None:
        self.processor, self.store = processor, store
        self._prefixes: dict[tuple, bytes] = {}

    def patches(self, model: "ReviosaModel", frames: Sequence[Frame]) -> Tensor:
        """As :meth:`ReviosaModel.encode_patches`, [frame, patch, channel]."""
        return torch.cat([entry["patches"] for entry in self._entries("vision", model, frames)])

    def maps(self, model: "ReviosaModel", frames: Sequence[Frame]) -> tuple[Tensor, ...]:
        """As :func:`encode_maps`, [frame, channel, height, width] each."""
        found = self._entries("sam", model, frames)
        return tuple(torch.cat([entry[name] for entry in found]) for name in sorted(found[0]))

    def views(self, model: "ReviosaModel", frames: Sequence[Frame]) -> Iterator[FrameFeatures]:
        """SAM2's features of each frame, one by one."""
        for frame in frames:
            yield finish_maps(model.sam2, self.maps(model, [frame]))

    def _entries(
        self, encoder: _Encoder, model: "ReviosaModel", frames: Sequence[Frame]
    ) -> list[dict[str, Tensor]]:
        """The tensors of each frame; those read on a CPU are views of a file until joined."""
        if self.store is None:
            return [self._encode(encoder, model, frame) for frame in frames]
        prefix, device, entries = self._prefix(encoder, model), str(model.device), []
        for frame in frames:
            name = hashlib.sha256(prefix + frame.digest).hexdigest()[:40]
            found = self.store.get(name, device)
            if found is None:
                found = self._encode(encoder, model, frame)
                self.store.put(name, found)
            entries.append(found)
        return entries

    @torch.no_grad()
    def _encode(self, encoder: _Encoder, model: "ReviosaModel", frame: Frame) -> dict[str, Tensor]:
        pixels = frame.pixels[None]
        if encoder == "vision":
            return {
                "patches": model.encode_patches(
                    _ready(self.processor.squash_for_vision(pixels), model)
                )
            }
        maps = encode_maps(model.sam2, _ready(self.processor.squash_for_sam(pixels), model))
        return {f"map{index}": value for index, value in enumerate(maps)}

    def _prefix(self, encoder: _Encoder, model: "ReviosaModel") -> bytes:
        """Digest of all that decides an entry but the frame."""
        module = model.mllm.model.vision_tower if encoder == "vision" else model.sam2.image_encoder
        known = (encoder, weights_digest(module), *numeric_facts(model.device, model.dtype).items())
        if known not in self._prefixes:
            facts = {
                "schema": _SCHEMA,
                "encoder": list(known),
                "settings": self._settings(encoder, model),
                "machine": machine_facts(model.device),
            }
            text = json.dumps(facts, sort_keys=True, default=str)
            self._prefixes[known] = hashlib.sha256(text.encode()).digest()
        return self._prefixes[known]

    def _settings(self, encoder: _Encoder, model: "ReviosaModel") -> Mapping[str, Any]:
        config = model.config
        if encoder == "sam":
            return {
                "size": self.processor.sam_image_size,
                "resampling": self.processor.sam_resampling,
                "base": config.sam2_base,
                "overrides": config.sam2_overrides,
            }
        mllm: Any = config.mllm_config
        vision = mllm.vision_config.to_dict()
        return {
            "size": self.processor.image_size,
            "attention": mllm.vision_config._attn_implementation,
            "downsampling": mllm.downsample_ratio,
            "layer": [mllm.vision_feature_layer, mllm.vision_feature_select_strategy],
            # What transformers writes beside the settings differs between copies of one model.
            "vision": {
                k: v for k, v in vision.items() if k not in ("dtype", "transformers_version")
            },
        }


def _ready(squashed: Tensor, model: "ReviosaModel") -> Tensor:
    # Normalised where the model is: a GPU divides in its own way.
    return normalise(squashed.to(model.device)).to(model.dtype)


class FrameBatch:
    """Frames of a batch on their way to the model, which asks for their features.

    Not a tensor, so that no loader moves it, and no dataclass, which some of torch's wrappers for
    distributed training take apart.

    Args:
        features: how to come by them.
        frames: of all conversations, each one's after the other's, as many of each.
    """

    def __init__(self, features: FrozenFeatures, frames: Sequence[Frame]) -> None:
        self.features, self.frames = features, tuple(frames)

    @classmethod
    def joined(cls, batches: "Sequence[FrameBatch]") -> "FrameBatch":
        """The frames of several, in order."""
        return cls(batches[0].features, [frame for batch in batches for frame in batch.frames])

    def patches(self, model: "ReviosaModel") -> Tensor:
        """See :meth:`FrozenFeatures.patches`."""
        return self.features.patches(model, self.frames)

    def maps(self, model: "ReviosaModel") -> tuple[Tensor, ...]:
        """See :meth:`FrozenFeatures.maps`."""
        return self.features.maps(model, self.frames)
