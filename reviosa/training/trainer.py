"""ReviosaTrainer: transformers' Trainer with ReVIOSa's losses, each of them logged."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.utils.data import SequentialSampler
from transformers import Trainer

from reviosa.errors import CheckpointError, ReviosaError
from reviosa.io import atomic_path
from reviosa.model.lora import trainable_names
from reviosa.training.config import LossConfig
from reviosa.training.objective import LossCounts, LossTerms, compute_losses, count_batch

__all__ = ["TRAINABLE_FILE", "ReviosaTrainer", "last_whole_checkpoint"]

TRAINABLE_FILE = "trainable.safetensors"


class ReviosaTrainer(Trainer):
    """Trains on batches of :func:`reviosa.training.data.collate`.

    Losses are normalised over the whole effective batch, so accumulation gives the gradient of one
    large batch. Checkpoints hold the parameters that train and nothing frozen.

    Args:
        loss: weights of the terms.
        pairs: layer-head pairs that attention mask loss supervises.
        decay_all: decay biases and norms too.
        args, kwargs: those of ``transformers.Trainer``.
    """

    # The loss is divided by the counts of all accumulated batches already (ECOSYSTEM.md 0.4:
    # without this the Trainer guesses from the model's signature, and guesses wrong).
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *args: Any,
        loss: LossConfig,
        pairs: Sequence[tuple[int, int]] = (),
        decay_all: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        # Releases before loss_is_scaled_for_ga decide by this attribute.
        self.model_accepts_loss_kwargs = True
        self.loss_config, self.pairs, self.decay_all = loss, tuple(pairs), decay_all
        self._terms: dict[str, float] = defaultdict(float)
        self._logged_step: int | None = None

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Names of the parameters that decay."""
        if self.decay_all:
            return [name for name, _ in model.named_parameters()]
        return super().get_decay_parameter_names(model)

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor | None]:
        """Collect the batches of one optimiser step and write their joint counts into each."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        counts = torch.tensor([count_batch(b) for b in batches], dtype=torch.float64).sum(dim=0)
        if self.args.world_size > 1:
            # Gradients are averaged over processes, so each divides by its share of the total.
            total = self.accelerator.reduce(counts.float().to(device), "sum")
            counts = total.double().cpu() / self.args.world_size
        for batch in batches:
            batch["loss_counts"] = counts
        return batches, counts[0]

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """Weighted sum of the terms; each is added to what the next log line reports.

        Raises:
            ReviosaError: the loss is not finite. The Trainer itself would go on with weights that
                are lost, and leave such values out of its log.
        """
        if self._logged_step is None:
            # Where this session starts: terms of steps before it are in earlier lines.
            self._logged_step = self.state.global_step
        inputs = dict(inputs)
        counts = inputs.pop("loss_counts", None)
        counts = None if counts is None else LossCounts(*counts.tolist())
        terms = compute_losses(model, inputs, self.loss_config, self.pairs, counts)
        for name in ("text", "bce", "dice", "aml"):
            value = getattr(terms, name)
            if value is not None and model.training:
                self._terms[f"loss_{name}"] += float(value.detach())
        if not torch.isfinite(terms.total):
            raise _diverged(self.state.global_step + 1, terms)
        return (terms.total, {"loss": terms.total}) if return_outputs else terms.total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean of each term since the last log line."""
        steps = self.state.global_step - (self._logged_step or 0)
        if "loss" in logs and steps > 0:
            names = sorted(self._terms)
            means = torch.tensor([self._terms[name] / steps for name in names])
            if self.args.world_size > 1:
                # As with the loss itself: each process has its share.
                means = self.accelerator.reduce(means.to(self.args.device), "mean")
            logs.update(zip(names, means.tolist(), strict=True))
            self._terms.clear()
            self._logged_step = self.state.global_step
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        # ConversationDataset shuffles by itself, in a way that resuming can repeat.
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        model = self.accelerator.unwrap_model(self.model)
        names = set(trainable_names(model))
        source = state_dict if state_dict is not None else model.state_dict()
        kept = {k: v.detach().contiguous().cpu() for k, v in source.items() if k in names}
        with atomic_path(folder / TRAINABLE_FILE) as temporary:
            save_file(kept, temporary, metadata={"format": "pt"})

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        model = model or self.model
        path = Path(resume_from_checkpoint) / TRAINABLE_FILE
        if not path.is_file():
            raise CheckpointError(
                f"{path}: no such file, so there is nothing to resume; remove the checkpoint folder"
            )
        tensors = load_file(path)
        names = set(trainable_names(model))
        if set(tensors) != names:
            odd = sorted(set(tensors) ^ names)
            raise CheckpointError(
                f"{path} holds {len(tensors)} trained tensors, the model trains {len(names)}; they "
                f"differ in {odd[0]!r} among others; resume with the configuration of the run"
            )
        # Unlike the module's own method this one also fills weights that are sharded.
        options = StateDictOptions(full_state_dict=True, strict=False)
        set_model_state_dict(model, tensors, options=options)


def _diverged(step: int, terms: LossTerms) -> ReviosaError:
    found = {n: getattr(terms, n) for n in ("text", "bce", "dice", "aml")}
    shown = ", ".join(f"{n} {v.item():.3g}" for n, v in found.items() if v is not None)
    return ReviosaError(
        f"the training diverged at step {step}: got a loss of {terms.total.item()} ({shown}), "
        "expected a finite one; take a lower learning_rate"
    )


def last_whole_checkpoint(folder: Path, below: int | None = None) -> str | None:
    """The newest checkpoint that was written to its end; unfinished ones are removed.

    Args:
        folder: where checkpoints are.
        below: of an earlier step than this; later ones are removed, since the log will end there.

    The Trainer writes ``trainer_state.json`` last, so a checkpoint where it is whole is whole.
    """
    steps = {p: int(p.name.rsplit("-", 1)[1]) for p in folder.glob("checkpoint-*")}
    found = sorted(steps, key=lambda path: steps[path])
    whole = [p for p in found if _is_json(p / "trainer_state.json")]
    usable = [p for p in whole if below is None or steps[p] < below]
    for path in found:
        if path not in usable:
            # Several processes may clear it at once.
            shutil.rmtree(path, ignore_errors=True)
    return str(usable[-1]) if usable else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True
