"""What the role tokens attend to: the rows of the attention matrix that are theirs, and no others.

The role tokens are at most a few rows a sequence. They are recorded as those of any other token
(:mod:`reviosa.model.attention_record`), so analysis and attention mask loss read the same numbers.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from reviosa.model.attention_record import AttentionRecord
from reviosa.model.decoder import unwrap
from reviosa.model.queries import Queries
from reviosa.model.recorder import recording
from reviosa.model.roles import RolePrompts, find_roles, vision_grid

__all__ = ["RoleAttention", "record_role_attention"]


class RoleAttention(AttentionRecord):
    """What the role tokens of the last forward pass attended to.

    Role 0 is the actor, 1 the target; NaN where a role is absent. The batch axis has one entry an
    expression (see :class:`~reviosa.model.roles.RolePrompts`), so it is the batch itself where
    every sequence holds one expression.
    """

    @property
    def roles(self) -> RolePrompts:
        """Which sample and which token each row is.

        Raises:
            ReviosaError: no forward pass has run yet.
        """
        return cast(RolePrompts, self.queries)


@contextlib.contextmanager
def record_role_attention(
    model: nn.Module, layers: Sequence[int] | None = None, cached_ids: Tensor | None = None
) -> Iterator[RoleAttention]:
    """Record the role tokens' attention during any forward pass of ``model``.

    Args:
        model: a :class:`~reviosa.model.ReviosaModel`, or one wrapped by peft or DDP.
        layers: layers of the language model to record, zero-based; all when None.
        cached_ids: tokens that a KV cache holds from before the block, int64 [1 or batch, token].

    Yields:
        the record; read it after a forward pass, inside or outside the block.

    Raises:
        ConfigError: a layer does not exist.
        ReviosaError: as :func:`~reviosa.model.attention_record.record_attention`.
    """
    config = unwrap(model).config

    def choose(ids: Tensor | None, batch: int) -> Queries:
        return find_roles(ids, config.actor_token_id, config.target_token_id)

    with recording(model, choose, layers, cached_ids) as recorder:
        yield RoleAttention(
            recorder, lambda: vision_grid(recorder.ids, config.image_token_id, config.grid)
        )
