import base64
import hashlib
import json
from typing import Annotated, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from reviosa.annotation.llm import Request
from reviosa.annotation.llm.messages import Dialect, body_of, cache_key, follow_up, strict_schema
from tests.fixtures_llm import stage_settings

SETTINGS = stage_settings("http://localhost/v1")


class Colour(BaseModel):
    """A colour."""

    name: str


class Walks(BaseModel):
    kind: Literal["walks"]


class Runs(BaseModel):
    kind: Literal["runs"]
    fast: bool = True


class Scene(BaseModel):
    main: Annotated[Colour, Field(description="of the actor")]
    others: list[Colour] = []
    title: str | None = None
    motion: Annotated[Walks | Runs, Field(discriminator="kind")]


class Other(BaseModel):
    name: str


def ask(**changes) -> Request:
    values = {
        "item": "a/1",
        "stage": "a",
        "system": "Be short.",
        "parts": ("What is it?",),
        "answer": Colour,
    }
    return Request(**{**values, **changes})


def objects(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_a_strict_schema_requires_every_property_and_allows_no_other():
    schema = strict_schema(Scene)
    found = list(objects(schema))
    assert len(found) >= 4
    for entry in found:
        assert entry["additionalProperties"] is False
        assert entry["required"] == list(entry["properties"])
    text = json.dumps(schema)
    assert "default" not in text and "oneOf" not in text and "discriminator" not in text
    # A property may be called title; the word of the schema language is left out.
    assert "title" in schema["properties"] and "title" not in schema
    # What is described is written out: beside a reference nothing may stand.
    assert schema["properties"]["main"]["description"] == "of the actor"
    assert "$ref" not in schema["properties"]["main"]


def test_a_strict_schema_takes_what_the_model_takes():
    good = {
        "main": {"name": "red"},
        "others": [{"name": "blue"}],
        "title": None,
        "motion": {"kind": "runs", "fast": True},
    }
    validator = Draft202012Validator(strict_schema(Scene))
    assert validator.is_valid(good)
    assert Scene.model_validate(good).motion == Runs(kind="runs")
    assert not validator.is_valid({**good, "more": 1})
    assert not validator.is_valid({k: v for k, v in good.items() if k != "title"})


def test_pictures_are_data_urls_between_the_texts():
    body = body_of(ask(parts=("Frame 1", b"\xff\xd8one", "Frame 2", b"\xff\xd8two")), SETTINGS)
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Be short."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"] * 2
    url = user["content"][3]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) == b"\xff\xd8two"
    assert body["max_tokens"] == 100 and body["temperature"] == 0.0 and body["top_p"] == 1.0


def test_a_question_without_pictures_is_one_text():
    body = body_of(ask(parts=("one", "two")), SETTINGS)
    assert body["messages"][1]["content"] == "one\ntwo"


def test_the_schema_goes_into_the_format_or_into_the_system_message():
    schema = strict_schema(Colour)
    strict = body_of(ask(), SETTINGS)
    assert strict["response_format"]["json_schema"] == {
        "name": "Colour",
        "strict": True,
        "schema": schema,
    }
    loose, plain = (body_of(ask(), SETTINGS, Dialect(form)) for form in ("json_object", "text"))
    assert loose["response_format"] == {"type": "json_object"}
    assert "response_format" not in plain
    for body in (loose, plain):
        assert body["messages"][0]["content"].endswith(json.dumps(schema))


def test_a_follow_up_holds_the_answer_the_fault_and_the_schema():
    after = follow_up(ask(), '{"name": ""}', "The name is empty.")
    assert after[0] == {"role": "assistant", "content": '{"name": ""}'}
    assert "The name is empty." in after[1]["content"]
    assert json.dumps(strict_schema(Colour)) in after[1]["content"]
    assert body_of(ask(), SETTINGS, after=after)["messages"][2:] == list(after)


BASE = cache_key(ask(parts=("x", b"picture")), SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "Be long."},
        {"parts": ("y", b"picture")},
        {"parts": ("x", b"another")},
        {"parts": (b"picture", "x")},
        {"parts": ("x", "picture")},
        {"parts": ("x", json.dumps({"sha256": hashlib.sha256(b"picture").hexdigest()}))},
        {"answer": Scene},
    ],
    ids=str,
)
def test_an_answer_is_of_one_question_alone(changes):
    assert cache_key(ask(**{"parts": ("x", b"picture"), **changes}), SETTINGS) != BASE


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "large"},
        {"base_url": "http://elsewhere/v1"},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"max_tokens": 101},
    ],
    ids=str,
)
def test_an_answer_is_of_one_model_and_sampling_alone(changes):
    settings = stage_settings(**{"url": "http://localhost/v1", **rename(changes)})
    assert cache_key(ask(parts=("x", b"picture")), settings) != BASE


def rename(changes):
    return {{"base_url": "url"}.get(name, name): value for name, value in changes.items()}


@pytest.mark.parametrize(
    "changes", [{"timeout_s": 1.0}, {"concurrency": 1}, {"retries": 0}, {"price_in": 9.0}], ids=str
)
def test_an_answer_outlives_settings_that_it_does_not_depend_on(changes):
    settings = stage_settings("http://localhost/v1", **changes)
    other = ask(item="b/2", parts=("x", b"picture"), check=lambda answer: None)
    assert cache_key(other, settings) == BASE
