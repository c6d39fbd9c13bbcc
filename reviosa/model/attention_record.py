"""Recording what chosen tokens of any decoder attend to, with fused attention left on."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from reviosa.errors import ConfigError, ReviosaError
from reviosa.model.queries import Queries
from reviosa.model.recorder import Recorder, recording

__all__ = ["AttentionRecord", "record_attention"]


class AttentionRecord:
    """What the chosen tokens attended to.

    Empty until a forward pass has run. A pass without a KV cache, or with an empty one, starts a
    new record; steps that go on from a cache add to it.
    """

    def __init__(self, recorder: Recorder, grid: Callable[[], Tensor]) -> None:
        self._recorder, self._grid = recorder, grid

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of the decoder, zero-based, in the order of the record's layer axis."""
        return self._recorder.layers

    @property
    def queries(self) -> Queries:
        """Which sequence and which token each row is.

        Raises:
            ReviosaError: no forward pass has run yet.
        """
        if self._recorder.queries is None:
            raise ReviosaError("nothing is recorded yet; run the model inside the `with` block")
        return self._recorder.queries

    @property
    def attention(self) -> Tensor:
        """Attention of each query over all keys, float32 [batch, query, layer, head, key].

        NaN where a query is absent, or not read yet; zero on keys that came after it.

        Raises:
            ReviosaError: no forward pass has run yet, or layers differ in their number of heads.
        """
        return self._recorder.attention()

    @property
    def vision_grid(self) -> Tensor:
        """Place of each key's patch, int64 [batch, key, 3]: (frame, row, column), -1 for text.

        Raises:
            ReviosaError: no forward pass has run yet, or no grid was given.
        """
        sample = self.queries.sample
        return self._grid().to(sample.device)[sample]

    def on_patches(self) -> Tensor:
        """Attention over the patches alone, [batch, query, layer, head, frame, row, column].

        Raises:
            ReviosaError: the rows see different numbers of patches, or patches that do not fill
                one grid.
        """
        attention, places = self.attention, self.vision_grid
        is_patch = places[..., 0] >= 0
        counts = is_patch.sum(dim=1)
        if len(counts) == 0 or not counts[0] or not bool((counts == counts[0]).all()):
            raise ReviosaError(
                f"the rows of this batch see {counts.tolist()} patches; patch maps need the same "
                "number of frames for all; read `attention` and `vision_grid` instead"
            )
        count = int(counts[0])
        places = places[is_patch].view(len(counts), count, 3)
        frames, rows, columns = (places.amax(dim=(0, 1)) + 1).tolist()
        flat = (places[..., 0] * rows + places[..., 1]) * columns + places[..., 2]
        ordered, order = flat.sort(dim=1)
        if frames * rows * columns != count or bool((ordered.diff(dim=1) != 1).any()):
            raise ReviosaError(
                f"{count} patches do not fill a grid of {frames} x {rows} x {columns} (frames, "
                "rows, columns); images of different sizes have no common patch map; read "
                "`attention` and `vision_grid` instead"
            )
        keys = is_patch.nonzero()[:, 1].view(len(counts), count).gather(1, order)
        index = keys.view(len(counts), 1, 1, 1, count).expand(*attention.shape[:-1], -1)
        return attention.gather(-1, index).unflatten(-1, (frames, rows, columns))


@contextlib.contextmanager
def record_attention(
    model: nn.Module,
    queries: Tensor | Callable[[Tensor], Tensor],
    key_grid: Tensor | Callable[[Tensor], Tensor] | None = None,
    layers: Sequence[int] | None = None,
    cached_ids: Tensor | None = None,
) -> Iterator[AttentionRecord]:
    """Record the attention of chosen tokens during any forward pass of ``model``.

    Works with every decoder of transformers whose layers go through its attention interface, alone
    or as the language model of one that sees; in training and inference, on padded batches, with
    LoRA, gradient checkpointing (non-reentrant), autocast and KV-cache steps. The model is the same
    inside the block and outside. Recording costs one small matrix product a layer; fused attention
    stays on. Beam search, which puts the rows of the cache in another order, is not followed, nor
    is a decoder whose layers lie on several devices.

    Args:
        model: a model of transformers, or one wrapped by peft or DDP.
        queries: positions of the query tokens, padding counted, int64 [batch, query], -1 where
            absent; or a function from the tokens of the sequence so far, int64 [batch, token], to
            them (:func:`~reviosa.model.queries.find_tokens`).
        key_grid: place of each key's patch as (frame, row, column), -1 for text, int64 [key, 3] or
            [batch, key, 3]; keys beyond its end are text. Or a function from the tokens to it
            (:func:`~reviosa.model.patch_grid.patch_grid`). Only what reads patches needs it.
        layers: layers of the decoder to record, zero-based; all with attention when None.
        cached_ids: tokens that a KV cache holds from before the block, int64 [1 or batch, token].

    Yields:
        the record; read it after a forward pass, inside or outside the block.

    Raises:
        ConfigError: a layer does not exist, or the queries or the grid have another form.
        ReviosaError: attention of this model cannot be recorded, or is being recorded already; in a
            forward pass: a layer did not go through the interface or uses what is not followed,
            the batch is not that of the queries, a KV cache was filled before the block, or
            gradient checkpointing is reentrant.
    """
    if isinstance(queries, Tensor):
        _check_positions(queries)
    if isinstance(key_grid, Tensor):
        _check_grid(key_grid)

    def choose(ids: Tensor | None, batch: int) -> Queries:
        if isinstance(queries, Tensor):
            positions = queries
        elif ids is None:
            raise ReviosaError(
                "queries is a function of tokens but the model was called with inputs_embeds; "
                "give positions, int64 [batch, query]"
            )
        else:
            positions = _check_positions(queries(ids))
        if len(positions) != batch:
            raise ReviosaError(
                f"got positions of {len(positions)} sequences, expected {batch}, the batch that "
                "the model was called with; give each sequence a row of positions"
            )
        return Queries(torch.arange(batch, device=positions.device), positions)

    with recording(model, choose, layers, cached_ids) as recorder:
        yield AttentionRecord(recorder, lambda: _grid_of(recorder, key_grid))


def _check_positions(positions: Tensor) -> Tensor:
    if positions.dim() != 2 or positions.dtype != torch.int64 or bool((positions < -1).any()):
        raise ConfigError(
            f"got queries {positions.dtype} {list(positions.shape)}, expected positions int64 "
            "[batch, query], 0 or more, -1 where a query is absent"
        )
    return positions


def _check_grid(grid: Tensor) -> Tensor:
    if grid.dim() not in (2, 3) or grid.shape[-1] != 3 or grid.dtype != torch.int64:
        raise ConfigError(
            f"got a key_grid {grid.dtype} {list(grid.shape)}, expected int64 [key, 3] or "
            "[batch, key, 3]: (frame, row, column), -1 for text"
        )
    return grid


def _grid_of(recorder: Recorder, grid: Tensor | Callable[[Tensor], Tensor] | None) -> Tensor:
    """The grid of the keys so far, [batch, key, 3]."""
    if grid is None:
        raise ReviosaError("no key_grid was given; give record_attention the place of each patch")
    if not isinstance(grid, Tensor):
        if recorder.ids is None:
            raise ReviosaError(
                "key_grid is a function of tokens but the model was called with inputs_embeds; "
                "give the grid itself, int64 [key, 3]"
            )
        grid = _check_grid(grid(recorder.ids))
    queries, keys = recorder.queries, recorder.keys
    batch = 1 if queries is None or not len(queries.sample) else int(queries.sample.max()) + 1
    if grid.dim() == 2:
        grid = grid.expand(batch, -1, -1)
    if len(grid) < batch:
        raise ReviosaError(f"got a key_grid of {len(grid)} sequences, expected {batch}")
    beyond = max(keys - grid.shape[1], 0)
    return nn.functional.pad(grid[:, :keys], (0, 0, 0, beyond), value=-1)
