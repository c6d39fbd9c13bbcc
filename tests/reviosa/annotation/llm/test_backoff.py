import random
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviosa.annotation.llm.backoff import FIRST_S, MOST_ASKED_S, MOST_S, backoff, retry_after


@given(st.integers(1, 10_000), st.integers())
def test_a_wait_is_between_half_of_its_bound_and_the_bound(repetition, seed):
    longest = FIRST_S
    for _ in range(min(repetition - 1, 20)):
        longest = min(2 * longest, MOST_S)
    wait = backoff(repetition, random.Random(seed))
    assert longest / 2 <= wait <= longest <= MOST_S


@given(st.integers(1, 100), st.integers(), st.floats(0, 1e9))
def test_no_wait_is_shorter_than_what_the_endpoint_asks_for(repetition, seed, asked):
    wait = backoff(repetition, random.Random(seed), asked)
    assert min(asked, MOST_ASKED_S) <= wait <= MOST_ASKED_S + FIRST_S


def test_waits_of_requests_that_failed_together_differ():
    chance = random.Random(0)
    assert len({backoff(4, chance) for _ in range(20)}) == 20


NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": format_datetime(NOW.replace(second=30), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(NOW.replace(hour=1), usegmt=True)}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_the_pause_that_headers_ask_for(headers, seconds):
    assert retry_after(headers, NOW.timestamp()) == seconds
