"""Text tokens coloured by the attention on them, as HTML with every token escaped."""

from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probes.store import TextAttention
from reports.style import MAP_COLORS, per_cent

__all__ = ["is_frame", "token_chips", "tokens_frame", "weights_of", "word_chips"]

_CHIP = "display:inline-block;padding:0 4px;margin:1px;border-radius:3px;font-family:monospace"
_VIDEO = "display:inline-block;padding:0 6px;margin:1px;border-radius:3px;border:1px solid #888888"
_SHOWN = {"\n": "\N{RETURN SYMBOL}", "\t": "\N{RIGHTWARDS ARROW TO BAR}"}


def weights_of(attention: TextAttention, pair: tuple[int, int]) -> NDArray[np.float32]:
    """The pair's weights on the text tokens, [text token]."""
    return attention.values[attention.pairs.index(pair)]


def tokens_frame(attention: TextAttention, pair: tuple[int, int]) -> pd.DataFrame:
    """A row a text token: ``position`` in the sequence, ``token``, and the pair's ``attention``."""
    rows, position = [], 0
    for token in attention.tokens:
        if isinstance(token, str):
            rows.append((position, token))
        position += token if isinstance(token, int) else 1
    found = pd.DataFrame(rows, columns=["position", "token"])
    return found.assign(attention=weights_of(attention, pair))


def token_chips(attention: TextAttention, pair: tuple[int, int], by_frame: Sequence[float]) -> str:
    """The sequence that a role token could look back on, a chip a text token.

    Chips are coloured by the square root of the weight, so that small ones are told apart beside a
    large one. Vision tokens in a row are one chip.

    Args:
        attention: of one sample and role.
        pair: whose weights; one of the attention's.
        by_frame: the pair's attention on the patches of each frame.

    Returns:
        HTML; whatever a token reads is shown and never run.
    """
    weights = weights_of(attention, pair)
    peak = float(weights.max(initial=0.0))
    blocks = [token for token in attention.tokens if isinstance(token, int)]
    parts, word, block = [], 0, 0
    for token in attention.tokens:
        if isinstance(token, int):
            parts.append(_video(token, _share(blocks, block, by_frame)))
            block += 1
        else:
            parts.append(_chip(token, float(weights[word]), peak))
            word += 1
    return _line(parts)


def word_chips(words: Sequence[str], weights: Sequence[float]) -> str:
    """The same where the vision tokens of a frame are one word (:func:`is_frame`).

    Args:
        words: tokens as they were decoded, in order.
        weights: attention on each, 0 to 1.

    Returns:
        HTML; whatever a token reads is shown and never run.
    """
    pairs = list(zip(words, weights, strict=True))
    peak = max([weight for word, weight in pairs if not is_frame(word)], default=0.0)
    return _line(
        [
            _block(word, weight) if is_frame(word) else _chip(word, weight, peak)
            for word, weight in pairs
        ]
    )


def is_frame(word: str) -> bool:
    """Whether a word of :class:`workbench.tryout.Trial` stands for the patches of a frame."""
    return word.startswith("frame ")


def _line(parts: Sequence[str]) -> str:
    return f'<div style="line-height:1.9;overflow-wrap:anywhere">{"".join(parts)}</div>'


def _share(blocks: Sequence[int], block: int, by_frame: Sequence[float]) -> float | None:
    """Attention on one row of vision tokens: each is a frame, or all frames are one."""
    if len(blocks) == len(by_frame):
        return by_frame[block]
    return sum(by_frame) if len(blocks) == 1 else None


def _video(tokens: int, share: float | None) -> str:
    return _block(f"video: {tokens:,} tokens", share)


def _block(name: str, share: float | None) -> str:
    words = name + ("" if share is None else f", {per_cent(share)} %")
    return f'<span style="{_VIDEO}">[{escape(words)}]</span>'


def _chip(token: str, weight: float, peak: float) -> str:
    red, green, blue = (
        round(255 * part)
        for part in matplotlib.colormaps[MAP_COLORS]((weight / peak) ** 0.5 if peak > 0 else 0.0)[
            :3
        ]
    )
    # Brightness as the eye weighs it: black ink on bright chips, white on dark ones.
    ink = "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
    shown = "".join(_SHOWN.get(sign, sign) for sign in token).strip() or "\N{OPEN BOX}"
    return (
        f'<span style="{_CHIP};background:#{red:02x}{green:02x}{blue:02x};color:{ink}" '
        f'title="{escape(per_cent(weight, 2))} % of its attention">{escape(shown)}</span>'
    )
