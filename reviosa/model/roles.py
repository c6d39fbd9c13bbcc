"""Where the role tokens and the visual patches stand in a token sequence."""

import torch
from torch import Tensor

from reviosa.errors import ReviosaError
from reviosa.model.queries import Queries

__all__ = ["RolePrompts", "find_roles", "vision_grid"]


class RolePrompts(Queries):
    """Role tokens of a batch, grouped by expression; query 0 is the actor, 1 the target.

    A *row* is one expression: an ``[SEG_ACT]`` and the ``[SEG_TAR]`` that follows it before the
    next ``[SEG_ACT]``, if one does. A conversation about five expressions gives five rows of the
    same sample. Rows stand in the order (sample, position).
    """


def find_roles(input_ids: Tensor, actor_id: int, target_id: int) -> RolePrompts:
    """Group the role tokens of ``input_ids`` [batch, token] into rows.

    Raises:
        ReviosaError: a target token stands before any actor token, or two follow one actor.
    """
    samples: list[int] = []
    positions: list[list[int]] = []
    place = ((input_ids == actor_id) | (input_ids == target_id)).nonzero()
    tokens = input_ids[place[:, 0], place[:, 1]].tolist()
    for (sample, position), token in zip(place.tolist(), tokens, strict=True):
        if token == actor_id:
            samples.append(sample)
            positions.append([position, -1])
            continue
        if not samples or samples[-1] != sample:
            raise ReviosaError(
                f"sequence {sample} has a target token at position {position} with no actor token "
                "before it; every answer starts with the actor"
            )
        if positions[-1][1] >= 0:
            raise ReviosaError(
                f"sequence {sample} has target tokens at positions {positions[-1][1]} and "
                f"{position} after one actor token; an expression has at most one target"
            )
        positions[-1][1] = position
    device = input_ids.device
    return RolePrompts(
        torch.tensor(samples, dtype=torch.int64, device=device),
        torch.tensor(positions, dtype=torch.int64, device=device).reshape(-1, 2),
    )


def vision_grid(input_ids: Tensor, image_token_id: int, grid: int) -> Tensor:
    """Place of each key's patch, int64 [batch, token, 3] as (frame, row, column); -1 for text.

    Patches stand frame after frame, each frame row by row, which is the order of InternVL's pixel
    shuffle.
    """
    is_patch = input_ids == image_token_id
    order = is_patch.cumsum(dim=1) - 1
    frame, rest = order // (grid * grid), order % (grid * grid)
    places = torch.stack([frame, rest // grid, rest % grid], dim=-1)
    return places.masked_fill(~is_patch[..., None], -1)
