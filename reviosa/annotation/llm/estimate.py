"""What requests will cost, before any is sent."""

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from reviosa.annotation.llm.messages import strict_schema
from reviosa.annotation.llm.request import Request
from reviosa.errors import DataError

__all__ = ["CHARACTERS_A_TOKEN", "EXPECTED_SHARE", "Estimate", "picture_tokens", "tokens_of"]

CHARACTERS_A_TOKEN: Final = 4
"""Of English text, in the tokenizers of current models."""
EXPECTED_SHARE: Final = 4
"""An answer is expected to take ``max_tokens`` divided by this, until answers of the stage are
known; then it is expected to be as long as those were on average."""


@dataclass(frozen=True)
class Estimate:
    """Size and price of a set of requests; sums are made with ``+``."""

    requests: int = 0
    """Requests that would be sent."""
    cached: int = 0
    """Requests that are answered already, or ask the same as another; they cost nothing."""
    tokens_in: int = 0
    """Tokens sent, by the rule of :func:`tokens_of`."""
    tokens_out: int = 0
    """Tokens expected in answers."""
    tokens_out_most: int = 0
    """Tokens of answers that all are as long as the settings allow."""
    dollars: float = 0.0
    """Expected price in US dollars; repeated requests are not in it."""
    dollars_most: float = 0.0
    """Price in US dollars of the longest answers; repeated requests are not in it."""

    def __add__(self, other: "Estimate") -> "Estimate":
        names = self.__dataclass_fields__
        return Estimate(**{name: getattr(self, name) + getattr(other, name) for name in names})


def tokens_of(request: Request, after: Sequence[dict[str, Any]] = ()) -> int:
    """Tokens of a question, by rule of thumb.

    The characters of the system message, the texts and the JSON schema, divided by
    :data:`CHARACTERS_A_TOKEN` and rounded up; and :func:`picture_tokens` for each picture.

    Args:
        request: the question.
        after: messages of text that follow it.

    Raises:
        DataError: a picture cannot be read.
    """
    texts = [request.system, json.dumps(strict_schema(request.answer))]
    texts += [part for part in request.parts if isinstance(part, str)]
    texts += [message["content"] for message in after]
    pictures = [part for part in request.parts if isinstance(part, bytes)]
    words = math.ceil(sum(map(len, texts)) / CHARACTERS_A_TOKEN)
    return words + sum(picture_tokens(*_size(picture, request.item)) for picture in pictures)


def picture_tokens(width: int, height: int) -> int:
    """Tokens of a picture of ``width`` by ``height`` pixels, as GPT-4o counts in high detail.

    Shrunk to fit 2048 x 2048, then until the shorter side is at most 768, it takes 85 tokens and
    170 for each begun tile of 512 x 512. Source: OpenAI, "Images and vision", GPT-4o.
    """
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    # Rounded first: 512.0000001 is one tile.
    across, down = (math.ceil(round(side * shrink) / 512) for side in (width, height))
    return 85 + 170 * max(across, 1) * max(down, 1)


def _size(jpeg: bytes, item: str) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(jpeg)) as picture:
            return picture.size
    except UnidentifiedImageError:
        raise DataError(
            f"{item}: got {len(jpeg)} bytes that are no picture, expected JPEG; check its frames"
        ) from None
