"""Questions and desks for the tests of the endpoint layer."""

import json

import pytest
from pydantic import BaseModel

from reviosa.annotation.llm import Desk, Request
from tests.fixtures_llm import no_sleep, question, stage_settings


class Name(BaseModel):
    name: str


def ask(number: int, **changes) -> Request:
    values = {
        "item": f"a/{number}",
        "stage": "a",
        "system": "Repeat.",
        "parts": (f"question {number}",),
        "answer": Name,
    }
    return Request(**{**values, **changes})


def repeat(body) -> str:
    """The good answer to any question: itself."""
    return json.dumps({"name": question(body)})


@pytest.fixture
def asks():
    """Makes questions; the answer of number n is ``{"name": "question n"}``."""
    return ask


@pytest.fixture
def answer():
    return repeat


@pytest.fixture
def desk(tmp_path):
    """Makes desks in the same run folder that do not wait before repetitions."""

    def make(url, budget=None, folder=tmp_path, sleep=no_sleep, **settings) -> Desk:
        stages = {"a": stage_settings(url, **settings)}
        return Desk(folder, stages, budget, sleep=sleep, seed=0)

    return make
