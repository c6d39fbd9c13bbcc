"""Do the heads matter? Ablations of their output at the role tokens, and what they cost in J&F.

Attention on an object may accompany a good mask without making it. Here single heads and sets of
heads are silenced while everything else stays, and the masks are scored again: the same expression,
answer and frames, so that each difference is paired. A set is compared with random sets of as many
heads in the same layers, since layers differ in weight whatever their heads look at (ANALYSIS 3.7).
Other heads take over part of what one loses (arXiv 2307.15771), so the ablation of a single head
tells the least that it does.

Role-swap patching asks which heads carry who acts on whom: two expressions of one video that name
the same objects in exchanged roles ("the dog chasing the cat", "the cat being chased by the dog")
lend each other the outputs of heads, and it is measured how far actor and target change places.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from probes._json import plain
from probes.bootstrap import Estimate, defined_mean, estimate_means
from probes.interventions import cut_attention, edit_heads, record_heads
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import ROLES, Expression, VideoSample
from reviosa.errors import ConfigError, RunError
from reviosa.evaluation import boundary_f, jaccard
from reviosa.inference import Segmenter, VideoFeatures, role_pairs
from reviosa.losses import pool_masks
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.run_record import open_run, read_run

__all__ = [
    "Ablation",
    "AblationEffect",
    "AblationResults",
    "ablate",
    "layer_ablations",
    "read_effects",
    "set_ablations",
    "single_ablations",
    "summarise",
]

EFFECTS_FILE = "effects.jsonl"
Kind = Literal["zero", "mean", "resample", "blind", "object-blind", "role-swap"]
_FROM_OTHERS = ("mean", "resample")
_AT_ONCE = 32
Pair = tuple[int, int]


@dataclass(frozen=True)
class Ablation:
    """A set of heads that are silenced together."""

    name: str
    """``L03H04`` of a single pair, ``chosen 3`` of the best three, ``random 3.07`` of a control."""
    group: str
    """``single``, ``layer``, ``chosen``, ``random`` or ``least``."""
    pairs: tuple[Pair, ...]


def single_ablations(pairs: Sequence[Pair]) -> tuple[Ablation, ...]:
    """Each pair by itself."""
    return tuple(
        Ablation(f"L{layer:02d}H{head:02d}", "single", ((layer, head),)) for layer, head in pairs
    )


def layer_ablations(shape: tuple[int, int]) -> tuple[Ablation, ...]:
    """All heads of each layer together."""
    layers, heads = shape
    return tuple(
        Ablation(f"L{layer:02d}", "layer", tuple((layer, head) for head in range(heads)))
        for layer in range(layers)
    )


def set_ablations(
    chosen: Sequence[Pair],
    shape: tuple[int, int],
    draws: int = 20,
    seed: int = 0,
    least: Sequence[Pair] = (),
) -> tuple[Ablation, ...]:
    """The first k of the chosen pairs for every k, and what they are compared with.

    Args:
        chosen: pairs, best first.
        shape: layers and heads of the model.
        draws: random sets for each k, with as many heads of each layer as the first k have. They
            may share heads with them, but are never the same set.
        seed: of the draws.
        least: pairs from the other end of the ranking, worst first; the first k of them, too.

    Raises:
        ConfigError: a pair that does not exist, or one twice; or a layer all of whose heads are
            chosen, so that no other set is like it.
    """
    layers, heads = shape
    odd = [
        (layer, head)
        for layer, head in (*chosen, *least)
        if not (0 <= layer < layers and 0 <= head < heads)
    ]
    if odd or len(set(chosen)) < len(chosen):
        what = f"the pair {odd[0]}" if odd else "a pair twice"
        raise ConfigError(
            f"got {what}, expected different pairs of {layers} layers and {heads} heads; "
            "choose pairs of this model"
        )
    rng = np.random.default_rng(seed)
    made: list[Ablation] = []
    for k in range(1, len(chosen) + 1):
        first = tuple(chosen[:k])
        made.append(Ablation(f"chosen {k}", "chosen", first))
        if least:
            made.append(Ablation(f"least {k}", "least", tuple(least[:k])))
        counts = Counter(layer for layer, _ in first)
        if all(count == heads for count in counts.values()):
            raise ConfigError(
                f"the first {k} pairs are all heads of their layers; no random set of the same "
                "layers is another one, choose fewer"
            )
        for draw in range(draws):
            while True:
                pairs = tuple(
                    (layer, int(head))
                    for layer, count in counts.items()
                    for head in sorted(rng.choice(heads, count, replace=False))
                )
                if set(pairs) != set(first):
                    break
            made.append(Ablation(f"random {k}.{draw:02d}", "random", pairs))
    return tuple(made)


@dataclass(frozen=True)
class AblationEffect:
    """What one ablation, or the mean of a group of them, costs."""

    name: str
    group: str
    k: int
    """Heads that were silenced."""
    pairs: tuple[Pair, ...]
    """Empty for a mean over random sets."""
    role: str
    change: Estimate
    """Mean change of that score, silenced less whole, on the frames the language model saw."""
    over_random: Estimate | None
    """The same less the mean of the random sets of this k, video by video; None where there are
    none."""


@dataclass(frozen=True)
class AblationResults:
    """All effects of a run of :func:`ablate`."""

    kind: str
    """What :func:`ablate` did to the heads."""
    whole: dict[str, Estimate]
    """Score of each role without any ablation: J&F, 0 to 1, and for ``role-swap`` how far the mask
    lies on the other role's object, ``(1 + J_other - J_own) / 2``: 0 on its own, 1 on the other."""
    effects: tuple[AblationEffect, ...]
    """Ablation by ablation, actor and target; means of the random sets after them."""
    n_failed: int
    """Roles that the model did not name, left out."""
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


@torch.inference_mode()
def ablate(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    dataset: InterRVOSDataset,
    directory: str | Path,
    ablations: Sequence[Ablation],
    kind: Kind = "mean",
    seed: int = 0,
    identity: dict | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Silence sets of heads at the role tokens and score the masks again.

    The model's own answer is kept, so the same roles are named. Masks are those of the frames that
    the language model saw, each decoded by itself. ``mean`` puts the mean output of the same role's
    tokens over all other videos in place of a head's, ``resample`` that of one other expression,
    ``zero`` nothing, which is the farthest from what the layers above expect. ``blind`` leaves the
    head its output but not the patches, ``object-blind`` not the patches that the role's true
    object covers: whether a head matters by what it sees there. ``role-swap`` puts in the output of
    the same role's token of the expression's twin, the one that names the same objects in exchanged
    roles; expressions without a twin are left out.

    Args:
        model: the model.
        processor: its processor.
        dataset: expressions to score.
        directory: run directory; ``effects.jsonl`` in it has a line an expression.
        ablations: which; see :func:`single_ablations` and :func:`set_ablations`.
        kind: what stands in place of a head's output.
        seed: of ``resample``.
        identity: what the run's header says of the model.
        resume: go on with a run that was stopped.
        progress: called with (expressions done, expressions).

    Raises:
        ConfigError: no ablation, or fewer than two videos for ``mean`` and ``resample``.
        RunError: the directory holds another run.
    """
    if not ablations:
        raise ConfigError("got no pairs to silence; give a heads file or --all")
    samples = dataset.samples
    if kind == "role-swap":
        samples = [sample for sample in samples if _twin(sample) is not None]
        if not samples:
            raise ConfigError(
                "got no two expressions of one video with exchanged roles, which role-swap needs; "
                "use data with active and passive twins, or another kind"
            )
    videos = {sample.video.video_id for sample in samples}
    if kind in _FROM_OTHERS and len(videos) < 2:
        raise ConfigError(
            f"{kind} ablation takes outputs from other videos and there is {len(videos)}; "
            "use more videos, or zero"
        )
    settings = {
        "kind": kind,
        "ablations": [[a.name, a.group, [list(p) for p in a.pairs]] for a in ablations],
        "samples": len(samples),
    }
    data = {"path": str(dataset.root.resolve()), "identity": dataset.identity}
    directory = Path(directory)
    with open_run(directory, "ablate", settings, seed, data, identity, resume):
        segmenter = Segmenter(model, processor)
        path = directory / EFFECTS_FILE
        done = {line["sample_id"] for line in read_effects(directory)}
        todo = [s for s in samples if s.expression.sample_id not in done]
        needs_others = kind in _FROM_OTHERS and bool(todo)
        stock = _Stock.gather(segmenter, samples, seed) if needs_others else None
        count = len(samples) - len(todo)
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            with open(path, "a", encoding="utf-8") as file:
                file.write("\n")  # behind a line that was torn when the run was killed
        for _, group in groupby(todo, key=lambda sample: sample.video.video_id):
            of_video = list(group)
            features = segmenter.encode(of_video[0].video)
            for sample in of_video:
                lines = _effects(segmenter, features, sample, ablations, kind, stock)
                with open(path, "a", encoding="utf-8") as file:
                    file.write(lines)
                count += 1
                if progress is not None:
                    progress(count, len(samples))
    return path


def read_effects(directory: str | Path) -> list[dict[str, Any]]:
    """Lines of ``effects.jsonl``, one an expression.

    ``{"sample_id", "video_id", "interaction", "scores": {role: [whole, ablation...]}}``; a role
    that was not named is absent, a torn line is left out, and without the file there is none.
    """
    lines: list[dict[str, Any]] = []
    path = Path(directory) / EFFECTS_FILE
    if not path.is_file():
        return lines
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def _effects(
    segmenter: Segmenter,
    features: VideoFeatures,
    sample: VideoSample,
    ablations: Sequence[Ablation],
    kind: Kind,
    stock: "_Stock | None",
) -> str:
    (reply,) = segmenter.answer(features, [sample.expression.text])
    roles = _role_of_tokens(segmenter, features, reply.ids)
    config = segmenter.model.config
    device = segmenter.model.device
    chosen = torch.zeros(len(ablations) + 1, config.num_layers, config.num_heads, dtype=torch.bool)
    for row, ablation in enumerate(ablations, start=1):
        for layer, head in ablation.pairs:
            chosen[row, layer, head] = True
    values = None if stock is None else stock.values(sample, kind).to(device)
    swap, lent = kind == "role-swap", [True, True]
    if swap:
        twin = _twin(sample)
        assert twin is not None, "those without one were left out"
        (said,) = segmenter.answer(features, [twin.text])
        values = _outputs(segmenter, features, said.ids).to(device)
        lent = values.isfinite().flatten(1).all(dim=1).tolist()
        values = values.nan_to_num()
    hidden = None
    if kind in ("blind", "object-blind"):
        hidden = _hidden_keys(segmenter, features, sample, len(reply.ids), kind == "object-blind")

    def changed(part: Tensor) -> AbstractContextManager[None]:
        if hidden is not None:
            return cut_attention(segmenter.model, part, roles, hidden)
        return edit_heads(segmenter.model, part, roles, values)

    jf: dict[str, list[float]] = {}
    for start in range(0, len(chosen), _AT_ONCE):
        part = chosen[start : start + _AT_ONCE].to(device)
        with changed(part):
            output = segmenter.read(features, [reply.ids] * len(part))
        pairs = role_pairs(output, len(part))
        for role, name in enumerate(ROLES if sample.expression.is_interaction else ROLES[:1]):
            prompts = [pair[role] for pair in pairs]
            # A role that the twin does not name lends nothing.
            if prompts[0] is not None and lent[role]:
                vectors = torch.stack([p for p in prompts if p is not None])
                jf.setdefault(name, []).extend(
                    _scores(segmenter, features, sample, role, vectors, swap)
                )
    expression = sample.expression
    rounded = {name: [round(value, 6) for value in scores] for name, scores in jf.items()}
    return (
        json.dumps(
            {
                "sample_id": expression.sample_id,
                "video_id": expression.video_id,
                "interaction": expression.is_interaction,
                "scores": rounded,
            }
        )
        + "\n"
    )


def _twin(sample: VideoSample) -> Expression | None:
    """The expression of the same video that names the same objects in exchanged roles."""
    mine = sample.expression
    if not mine.is_interaction:
        return None
    exchanged = (set(mine.target_ids), set(mine.actor_ids))
    for other in sample.video.expressions:
        if other.is_interaction and (set(other.actor_ids), set(other.target_ids)) == exchanged:
            return other
    return None


def _outputs(segmenter: Segmenter, features: VideoFeatures, ids: Sequence[int]) -> Tensor:
    """What heads write at the first actor and the first target token of a conversation.

    Returns:
        float32 [role, layer, head, head_dim]; NaN where a role is not named.
    """
    roles = _role_of_tokens(segmenter, features, ids)[0].tolist()
    tokens = [roles.index(role) if role in roles else None for role in (0, 1)]
    with record_heads(segmenter.model, [t or 0 for t in tokens]) as heads:
        segmenter.read(features, [ids])
    outputs = torch.stack([layer[0] for layer in heads], dim=1)
    for role, token in enumerate(tokens):
        if token is None:
            outputs[role] = float("nan")
    return outputs


def _role_of_tokens(segmenter: Segmenter, features: VideoFeatures, ids: Sequence[int]) -> Tensor:
    """What follows the opening: 0 at actor tokens, 1 at target tokens, else -1; [1, token]."""
    config = segmenter.model.config
    rest = torch.tensor(ids[features.opening.ids.shape[1] :], device=segmenter.model.device)
    roles = torch.full_like(rest, -1)
    roles[rest == config.actor_token_id] = 0
    roles[rest == config.target_token_id] = 1
    return roles[None]


def _hidden_keys(
    segmenter: Segmenter,
    features: VideoFeatures,
    sample: VideoSample,
    length: int,
    object_alone: bool,
) -> Tensor:
    """Patches that a role's token is not to see: all, or those its object touches; [role, key]."""
    model = segmenter.model
    is_patch = features.opening.ids[0] == model.config.image_token_id
    keys = torch.zeros(2, length, dtype=torch.bool, device=model.device)
    for role in (0, 1):
        hidden = is_patch.clone()
        if object_alone:
            truth = torch.from_numpy(sample.masks(role, list(features.frame_indices)))
            touched = pool_masks(truth, model.config.grid).flatten() > 0
            hidden[is_patch] = touched.to(model.device)
        keys[role, : len(is_patch)] = hidden
    return keys


def _scores(
    segmenter: Segmenter,
    features: VideoFeatures,
    sample: VideoSample,
    role: int,
    prompts: Tensor,
    swap: bool,
) -> list[float]:
    """Score of each prompt's masks over the seen frames, 0 to 1.

    J&F, or with ``swap`` how far the masks lie on the other role's object.
    """
    frames = list(features.frame_indices)
    own = sample.masks(role, frames)
    other = sample.masks(1 - role, frames) if swap else None
    masks = segmenter.decode(features, prompts)  # [frame, prompt, height, width]
    scores = []
    for index in range(len(prompts)):
        mask = masks[:, index]
        j = jaccard(mask, own)
        more = boundary_f(mask, own) + j if other is None else 1 + jaccard(mask, other) - j
        scores.append(float(more.mean() / 2))
    return scores


@dataclass(frozen=True)
class _Stock:
    """What heads write at the role tokens of every expression, to be put in others' place."""

    outputs: Tensor
    """float32 [expression, role, layer, head, head_dim]; NaN where a role was not named."""
    videos: np.ndarray
    """Which video each expression is of, [expression]."""
    places: dict[str, int]
    """Index of each expression by its sample id."""
    seed: int

    @classmethod
    def gather(cls, segmenter: Segmenter, samples: Sequence[VideoSample], seed: int) -> "_Stock":
        found = []
        for _, group in groupby(samples, key=lambda sample: sample.video.video_id):
            of_video = list(group)
            features = segmenter.encode(of_video[0].video)
            replies = segmenter.answer(features, [s.expression.text for s in of_video])
            for reply in replies:
                found.append(_outputs(segmenter, features, reply.ids).cpu())
        return cls(
            torch.stack(found),
            np.array([s.video.video_id for s in samples]),
            {s.expression.sample_id: index for index, s in enumerate(samples)},
            seed,
        )

    def values(self, sample: VideoSample, kind: Kind) -> Tensor:
        """What to put in the place of the sample's outputs, [role, layer, head, head_dim]."""
        others = torch.from_numpy(self.videos != sample.video.video_id)
        index = self.places[sample.expression.sample_id]
        rng = np.random.default_rng([self.seed, index])
        values = []
        for role in (0, 1):
            named = others & ~self.outputs[:, role, 0, 0, 0].isnan()
            stock = self.outputs[named, role]
            if not len(stock):
                values.append(torch.zeros_like(self.outputs[0, role]))  # no token asks for it
            elif kind == "mean":
                values.append(stock.mean(dim=0))
            else:
                values.append(stock[int(rng.integers(len(stock)))])
        return torch.stack(values)


def summarise(directory: str | Path, resamples: int = 2000, seed: int = 0) -> AblationResults:
    """Effects of a run of :func:`ablate`, with intervals from a cluster bootstrap over videos.

    Raises:
        RunError: no such run, or one of another kind.
    """
    header = read_run(directory)
    if header.get("kind") != "ablate":
        raise RunError(
            f"{directory} is a run of kind {header.get('kind')!r}, expected an ablation; give a "
            "folder that reviosa ablate wrote"
        )
    config = header["config"]
    ablations = [
        Ablation(name, group, tuple((int(layer), int(head)) for layer, head in pairs))
        for name, group, pairs in config["ablations"]
    ]
    lines = read_effects(directory)
    whole: dict[str, Estimate] = {}
    effects: list[AblationEffect] = []
    for role in ROLES:
        rows = [line for line in lines if role in line["scores"]]
        videos = np.array([line["video_id"] for line in rows], dtype=str)
        jf = np.array([line["scores"][role] for line in rows]).reshape(
            len(rows), 1 + len(ablations)
        )
        (whole[role],) = estimate_means(jf[:, :1], videos, resamples, seed)
        change = jf[:, 1:] - jf[:, :1]
        effects += _of_role(role, ablations, change, videos, resamples, seed)
    named = sum(len(line["scores"]) for line in lines)
    wanted = sum(1 + bool(line["interaction"]) for line in lines)
    return AblationResults(config["kind"], whole, tuple(effects), wanted - named, resamples, seed)


def _of_role(
    role: str,
    ablations: Sequence[Ablation],
    change: np.ndarray,
    videos: np.ndarray,
    resamples: int,
    seed: int,
) -> list[AblationEffect]:
    """Effects of one role from changes [expression, ablation]."""
    sizes = sorted({len(a.pairs) for a in ablations if a.group == "random"})
    random = {
        k: defined_mean(
            change[:, [a.group == "random" and len(a.pairs) == k for a in ablations]], axis=1
        )
        for k in sizes
    }
    told = [(i, a) for i, a in enumerate(ablations) if a.group != "random"]
    columns = [change[:, i] for i, _ in told] + [random[k] for k in sizes]
    compared = [
        change[:, i] - random[len(a.pairs)]
        for i, a in told
        if a.group != "single" and len(a.pairs) in random
    ]
    estimates = iter(
        estimate_means(np.column_stack([*columns, *compared]), videos, resamples, seed)
        if columns
        else ()
    )
    plain_ones = [next(estimates) for _ in columns]
    against = list(estimates)
    effects = []
    for (_, a), estimate in zip(told, plain_ones, strict=False):
        has_control = a.group != "single" and len(a.pairs) in random
        over = against.pop(0) if has_control else None
        effects.append(AblationEffect(a.name, a.group, len(a.pairs), a.pairs, role, estimate, over))
    for k, estimate in zip(sizes, plain_ones[len(told) :], strict=True):
        effects.append(AblationEffect(f"random {k}", "random", k, (), role, estimate, None))
    return effects
