"""How long to wait before a request is repeated."""

import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["FIRST_S", "MOST_ASKED_S", "MOST_S", "backoff", "retry_after"]

FIRST_S: Final = 0.5
"""Longest wait before the first repetition, in seconds; it doubles with each."""
MOST_S: Final = 60.0
"""Longest wait that we choose, in seconds."""
MOST_ASKED_S: Final = 600.0
"""Longest wait that an endpoint may ask for, in seconds; a request for more is cut to it."""


def backoff(repetition: int, chance: random.Random, asked_s: float | None = None) -> float:
    """Seconds to wait before repetition number ``repetition`` (from 1).

    Half of ``min(MOST_S, FIRST_S * 2**(repetition - 1))`` is fixed and half is random, so that
    requests that failed together do not come back together. Where the endpoint asks for a pause,
    it is that pause and up to ``FIRST_S`` more.
    """
    if asked_s is not None:
        return min(asked_s, MOST_ASKED_S) + FIRST_S * chance.random()
    # 2.0**1024 overflows; the bound is reached long before.
    longest = min(MOST_S, FIRST_S * 2.0 ** min(repetition - 1, 64))
    return longest * (1 + chance.random()) / 2


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The pause in seconds that a reply's headers ask for; None where they ask for none.

    Args:
        headers: with names that are found in any case, as HTTP has it.
        now: seconds since the epoch, to which a date is compared.

    Source: RFC 9110, 10.2.3: seconds or a date. ``retry-after-ms`` is OpenAI's own.
    """
    with_unit = ((headers.get("retry-after-ms"), 1000), (headers.get("retry-after"), 1))
    for value, per_second in with_unit:
        try:
            seconds = float(value or "") / per_second
        except ValueError:
            continue
        # "nan" and "inf" are numbers to float().
        return seconds if 0 <= seconds < float("inf") else None
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after") or "").timestamp() - now)
    except (ValueError, OverflowError):
        return None
