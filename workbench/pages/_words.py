"""Words coloured by the attention they got, as HTML in which every word is text."""

import html
from collections.abc import Sequence

import numpy as np

from reports.style import ROLE_COLORS, per_cent

__all__ = ["words_html"]

STRONGEST = 0.62
"""Opacity behind the word with the most attention; letters stay readable in light and dark."""


def words_html(words: Sequence[str], weights: Sequence[float], role: str) -> str:
    """The words in their order, each with the role's colour behind it.

    Opacity goes with the square root of a word's share of the strongest word's, so that weak words
    are still seen beside a sink; the share itself is the word's tooltip.

    Args:
        words: tokens as they were decoded.
        weights: attention on each, 0 to 1.
        role: whose colour.
    """
    top = max([*weights, 0.0])
    red, green, blue = (int(ROLE_COLORS[role][i : i + 2], 16) for i in (1, 3, 5))
    spans = []
    for word, weight in zip(words, weights, strict=True):
        strength = STRONGEST * float(np.sqrt(weight / top)) if top > 0 else 0.0
        shown = html.escape(word.replace("\n", "\N{DOWNWARDS ARROW WITH TIP LEFTWARDS}").strip())
        spans.append(
            f'<span style="background:rgba({red},{green},{blue},{strength:.3f});padding:1px 4px;'
            f'margin:1px;border-radius:3px;display:inline-block" '
            f'title="{per_cent(weight, 2)} %">{shown or "&nbsp;"}</span>'
        )
    body = "".join(spans)
    return f'<div style="line-height:1.7;overflow-wrap:anywhere;font-size:0.9rem">{body}</div>'
