"""One training run: from a configuration to a checkpoint, stoppable and resumable."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from reviosa.data.dataset import VideoDataset
from reviosa.data.opening import open_dataset
from reviosa.errors import ConfigError, ReviosaError, RunError
from reviosa.features import FeatureStore, FrozenFeatures
from reviosa.heads import HeadSelection
from reviosa.model import ReviosaConfig, ReviosaModel, ReviosaProcessor, load, model_identity, save
from reviosa.model.config import PRESETS
from reviosa.model.lora import (
    freeze_for_training,
    inject_lora,
    merge_lora,
    recompute_activations,
)
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.run_record import open_run
from reviosa.training.config import TrainConfig
from reviosa.training.data import ConversationDataset, collate
from reviosa.training.log import trim_log
from reviosa.training.trainer import ReviosaTrainer, last_whole_checkpoint

__all__ = ["TrainSummary", "build_model", "share_role_token", "train"]

LOG_FILE = "log.jsonl"


_SHARDED: dict[str, dict[str, Any]] = {
    "none": {},
    "fsdp": {
        "fsdp": True,
        "fsdp_config": {"transformer_layer_cls_to_wrap": ReviosaModel._no_split_modules},
    },
}
"""Settings of the Trainer for each kind of sharding."""


@dataclass(frozen=True)
class TrainSummary:
    """How a training run ended."""

    model: Path
    """Folder of the trained checkpoint."""
    steps: int
    losses: dict[str, float]
    """Terms of the last log line."""


def build_model(source: str, seed: int) -> tuple[ReviosaModel, ReviosaProcessor]:
    """The model to start from: a checkpoint, or the random weights of a preset.

    ``nano`` is the shipped checkpoint where there is one.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ConfigError: the preset needs a tokenizer that is not at hand.
    """
    if source == "nano-random":
        torch.manual_seed(seed)
        config = ReviosaConfig.preset("nano")
        return ReviosaModel(config), ReviosaProcessor.for_config(config, nano_tokenizer())
    if source in PRESETS and source != "nano":
        raise ConfigError(
            f"the {source} preset has neither weights nor a tokenizer here; "
            "give the folder of a converted checkpoint"
        )
    return load(source, device="cpu")


@torch.no_grad()
def share_role_token(model: ReviosaModel) -> None:
    """Give both role tokens one common row, the mean of their own, in embeddings and head.

    New random rows, as the release adds them to a language model that never knew any, would be
    fairer still; but 100 steps do not bind them again on the nano model (J&F 28, where 70 to 72
    are reached from the common row).
    """
    roles = [model.config.actor_token_id, model.config.target_token_id]
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight[roles] = layer.weight[roles].mean(dim=0)


def train(
    config: TrainConfig,
    resume: bool = False,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
    observers: Callable[[FrozenFeatures], Sequence[TrainerCallback]] | None = None,
    store: FeatureStore | None = None,
    stop_at: int | None = None,
) -> TrainSummary:
    """Train as ``config`` says and write ``out/model``, ``out/log.jsonl`` and ``out/run.json``.

    A run that was stopped, even by SIGKILL, goes on with ``resume=True`` from its last whole
    checkpoint and ends with the weights of an uninterrupted one.

    Args:
        config: the run.
        resume: continue the run in ``config.out``.
        progress: called with (step, steps, last log line) after each step.
        observers: gives callbacks that watch the training, for the features of its frames, which
            know the model's processor.
        store: where features of frames are kept; no bit of the result depends on it.
        stop_at: stop after this step, as one who looks how it goes: the model as it is then lies in
            ``out/model-at-STEP``, the run counts as stopped and can be resumed.

    Raises:
        ReviosaError: data, checkpoint, heads file or run directory are not usable; the loss is not
            finite; or ``stop_at`` is no step of this run.
    """
    if stop_at is not None and not 0 < stop_at < config.steps:
        raise ConfigError(
            f"stop_at is {stop_at}, expected a step between 1 and {config.steps - 1}: the run has "
            f"{config.steps} steps"
        )
    if stop_at is not None and (Path(config.out) / "model").exists():
        raise RunError(
            f"{config.out}: got a run that is trained to its end, expected one to stop at step "
            f"{stop_at}; leave that out"
        )
    if store is not None and config.sharding != "none":
        # Where one process knows a frame and another does not, they would wait for each other: to
        # run a sharded encoder takes all.
        raise ConfigError(
            f"sharding is {config.sharding!r}, expected none where features of frames are kept; "
            "leave out --features"
        )
    dataset = open_dataset(config.data)
    dataset.require_truth()
    dataset.check_frames()
    pairs, selection = (), None
    if config.heads is not None:
        selection = HeadSelection.load(config.heads)
        pairs = selection.pairs
    identity = None if config.model == "nano-random" else model_identity(config.model)
    settings = json.loads(config.model_dump_json())
    # The pairs are what counts, not where the file that names them lies.
    settings |= {"heads": [list(pair) for pair in pairs]}
    if config.data_fraction == 1:
        del settings["data_fraction"]  # said where it is not as ever, so that old runs go on
    leads = int(os.environ.get("RANK", "0")) == 0
    with contextlib.suppress(_StoppedAt), contextlib.ExitStack() as stack:
        # Of several processes the first one keeps the run.
        record = (
            stack.enter_context(
                open_run(
                    config.out,
                    "train",
                    {k: v for k, v in settings.items() if k not in ("out", "data")},
                    config.seed,
                    data={"path": str(config.data), "identity": dataset.identity},
                    model={"name": config.model, "identity": identity},
                    resume=resume,
                )
            )
            if leads
            else None
        )
        model, processor = build_model(config.model, config.seed)
        if selection is not None:
            selection.validate(model.config.num_layers, model.config.num_heads)
        torch.manual_seed(config.seed)
        if config.common_role_token:
            share_role_token(model)
        if config.lora is not None:
            inject_lora(model, **config.lora.model_dump())
        freeze_for_training(model)
        if config.gradient_checkpointing:
            recompute_activations(model)
        features = FrozenFeatures(processor, store)
        watching = () if observers is None else observers(features)
        stop = None if stop_at is None else _StopAt(stop_at)
        watching = [*watching, *([] if stop is None else [stop])]
        summary, model = _fit(
            config, model, features, dataset, pairs, resume, progress, watching, stop_at
        )
        if record is not None:
            if config.lora is not None:
                merge_lora(model)
            model.config.aml_pairs = [list(pair) for pair in pairs] or model.config.aml_pairs
            _set_inference(config, model, processor)
            if not summary.model.exists():
                save(model, processor, summary.model)
            record.update(summary={"steps": summary.steps, "losses": summary.losses})
        if stop is not None:
            raise _StoppedAt(f"at step {stop.step}, as was asked")
    return summary


class _StoppedAt(SystemExit):
    """Closes the record of a run that stops as was asked: it is stopped, not done."""


class _StopAt(TrainerCallback):
    """Saves a checkpoint at a step, and stops the training there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


def _set_inference(config: TrainConfig, model: ReviosaModel, processor: ReviosaProcessor) -> None:
    """Let the trained model be asked as it was trained, or as the release asks (REVIOSA.md 1.2)."""
    if config.conversations == "release":
        processor.wording = "release"
        model.config.frame_sampling, model.config.num_frames = "first", 5
    else:
        model.config.frame_sampling, model.config.num_frames = "uniform", config.num_frames


def _fit(
    config: TrainConfig,
    model: ReviosaModel,
    features: FrozenFeatures,
    dataset: VideoDataset,
    pairs: tuple[tuple[int, int], ...],
    resume: bool,
    progress: Callable[[int, int, dict[str, float]], None] | None,
    observers: Sequence[TrainerCallback],
    stop_at: int | None,
) -> tuple[TrainSummary, ReviosaModel]:
    if config.sharding == "fsdp" and not torch.cuda.is_available():
        raise ConfigError("sharding: fsdp needs GPUs and there is none; leave it out (DDP)")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    processor = features.processor
    draws = config.steps * config.batch_size * config.gradient_accumulation * processes
    data = ConversationDataset(
        dataset,
        processor,
        draws,
        num_frames=config.num_frames,
        expressions=config.expressions_per_video,
        mask_size=processor.sam_image_size // 4,
        seed=config.seed,
        targets=config.roles == "both",
        style=config.conversations,
        truth=config.loss.truth,
        fraction=config.data_fraction,
        features=features,
    )
    checkpoints = Path(config.out) / "checkpoints"
    # From before the stop, even where there is a later one: the model of that step is wanted.
    last = last_whole_checkpoint(checkpoints, below=stop_at) if resume else None
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        bf16=config.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        logging_steps=config.log_steps,
        save_steps=config.save_steps,
        save_total_limit=2,
        seed=config.seed,
        data_seed=config.seed,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
        ddp_find_unused_parameters=True,
        **_SHARDED[config.sharding],
    )
    # Several GPUs in one process would be torch's DataParallel, which renumbers the rows of each
    # part; several GPUs are for torchrun, one process each.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    log = _LogWriter(Path(config.out) / LOG_FILE, progress)
    trainer = ReviosaTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=partial(collate, processor=processor),
        loss=config.loss,
        pairs=pairs,
        decay_all=config.decay_all,
        callbacks=[log, *observers],
    )
    # The log file and ``progress`` say what this callback would print.
    trainer.remove_callback(PrinterCallback)
    try:
        with _quiet():
            trainer.train(resume_from_checkpoint=last)
    except ReviosaError:
        # The Trainer makes this folder before it reads the first frame.
        with contextlib.suppress(OSError):
            checkpoints.rmdir()
        raise
    steps = trainer.state.global_step
    name = "model" if steps == config.steps else f"model-at-{steps}"
    summary = TrainSummary(Path(config.out) / name, steps, log.last)
    return summary, _whole(trainer, model) if config.sharding == "fsdp" else model


def _whole(trainer: ReviosaTrainer, model: ReviosaModel) -> ReviosaModel:
    """The trained model with all weights, gathered from all processes to the first one."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not state:
        return model
    whole = ReviosaModel(model.config)
    whole.load_state_dict(state)
    return whole


class _LogWriter(TrainerCallback):
    """Writes every log line of the Trainer to a file and tells how far the run is."""

    def __init__(
        self, path: Path, progress: Callable[[int, int, dict[str, float]], None] | None
    ) -> None:
        self._path, self._progress = path, progress
        self.last: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        # Lines of steps that a resumed run is about to repeat would stand there twice. A run that
        # was finished already trains no step and logs nothing new.
        for line in trim_log(self._path, state.global_step)[-1:]:
            self.last = {k: v for k, v in line.items() if k != "step"}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        self.last = {k: v for k, v in logs.items() if isinstance(v, float | int)}
        if not state.is_world_process_zero:
            return
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **self.last}) + "\n")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # The Trainer's own rule skips the last step where it is no multiple of ``log_steps``.
        control.should_log = control.should_log or state.global_step == state.max_steps
        if self._progress is not None:
            self._progress(state.global_step, state.max_steps, self.last)


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the Trainer's own start-up remarks off the terminal."""
    logger = logging.getLogger("transformers.trainer")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
