"""One look for every figure, table and page: colours, names and how numbers are written."""

import re
from collections.abc import Sequence

__all__ = [
    "CAPTION_TYPE_TITLES",
    "MAP_COLORS",
    "MISSING",
    "PROTOCOL_TITLES",
    "ROLE_COLORS",
    "ROLE_TITLES",
    "ROLE_TOKENS",
    "SERIES_STYLES",
    "TRUTH_COLOR",
    "count",
    "in_text",
    "interval",
    "number",
    "p_value",
    "pair_label",
    "per_cent",
    "signed",
    "signed_interval",
    "slug",
    "with_interval",
]

ROLE_COLORS = {"actor": "#0072B2", "target": "#D55E00", "both": "#404040"}
"""Blue and vermillion of Okabe and Ito: told apart with any colour vision, and in grey print."""

ROLE_TITLES = {"actor": "Actor", "target": "Target", "both": "Both roles"}
ROLE_TOKENS = {"actor": "[SEG_ACT]", "target": "[SEG_TAR]"}
PROTOCOL_TITLES = {"actor": "Actor", "target": "Target", "rvos": "RVOS"}
CAPTION_TYPE_TITLES = {
    "single": "one object",
    "multi": "several objects",
    "bidirectional": "mutual interaction",
    "unidirectional": "interaction",
}
TRUTH_COLOR = "#FFFFFF"
MAP_COLORS = "viridis"
SERIES_STYLES = (
    ("#000000", "-"),
    ("#009E73", "--"),
    ("#CC79A7", "-."),
    ("#56B4E9", ":"),
    ("#E69F00", (0, (6, 1))),
    ("#0072B2", (0, (1, 1))),
)
"""Okabe and Ito's colours, each with a stroke of its own for grey print."""

MISSING = "n/a"
"""How a number that does not exist is written; never as a zero or an empty cell."""


def number(value: float | None, digits: int = 3) -> str:
    """``value`` with ``digits`` decimals and a true minus sign; "n/a" for None."""
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text) == 0:  # no "-0.000"
        text = f"{0:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def per_cent(share: float | None, digits: int = 1) -> str:
    """A share of 0 to 1 in per cent, without the sign; "n/a" for None."""
    return number(None if share is None else 100 * share, digits)


def interval(ci: Sequence[float] | None, digits: int = 3) -> str:
    """``[low, high]``, or "n/a" for None."""
    return MISSING if ci is None else f"[{number(ci[0], digits)}, {number(ci[1], digits)}]"


def with_interval(value: float | None, ci: Sequence[float] | None, digits: int = 3) -> str:
    """``value [low, high]``; only the value where there is no interval."""
    if value is None or ci is None:
        return number(value, digits)
    return f"{number(value, digits)} {interval(ci, digits)}"


def count(amount: int, singular: str, plural: str | None = None) -> str:
    """``1 video``, ``2 videos``; thousands are set apart."""
    name = singular if amount == 1 else plural or f"{singular}s"
    return f"{amount:,} {name}"


def in_text(title: str) -> str:
    """A title in the middle of a sentence: ``Mask share`` becomes small, ``AUROC`` stays."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, ``+1.2``; "n/a" for None."""
    text = number(value, digits)
    return text if value is None or text.startswith("\N{MINUS SIGN}") else f"+{text}"


def signed_interval(ci: Sequence[float] | None, digits: int = 3) -> str:
    """``[+0.4, +2.0]``; empty for None."""
    return "" if ci is None else f"[{signed(ci[0], digits)}, {signed(ci[1], digits)}]"


def p_value(p: float | None) -> str:
    """``0.031``; ``n/a`` where there is none."""
    return MISSING if p is None else f"{p:.2g}"


def pair_label(layer: int, head: int) -> str:
    """Name of a layer-head pair as the paper writes it: L22H07, both counted from 0."""
    return f"L{layer:02d}H{head:02d}"


def slug(text: str) -> str:
    """``text`` as a name for files, ids and links: letters of ASCII, digits and dashes alone."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:60] or "x"
