import json

import pytest
from pydantic import BaseModel

from reviosa.annotation.llm import Request
from reviosa.annotation.llm.errors import Failure
from reviosa.annotation.llm.reply import Reply, fitting, json_in, read_reply, value_of


class Pair(BaseModel):
    names: tuple[str, str]
    count: int


REQUEST = Request("a/1", "a", "", ("?",), Pair)


def reply(content: str, **changes) -> Reply:
    values = {"refusal": "", "finish": "stop", "model": "m", "tokens_in": 1, "tokens_out": 1}
    return Reply(content, **{**values, **changes})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2]}',
        '  {"a": [1, 2]}\n',
        '```json\n{"a": [1, 2]}\n```',
        '```\n{"a": [1, 2]}\n```',
        'Here it is:\n```JSON\n{"a": [1, 2]}\n```\nI hope it helps.',
        'The answer for object [3] is {"a": [1, 2]}, as asked.',
        '<think>maybe {"a": 0}?</think>\n{"a": [1, 2]}',
        'An empty {} first, then {"a": [1, 2]} and {"b": 1}',
    ],
)
def test_the_json_in_a_text(text):
    assert json_in(text) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "text", ["", "no", "[3] and [4]", '{"a": [1, 2', '```json\n{"a": \n```', '"text"', "12"]
)
def test_no_json_in_a_text(text):
    with pytest.raises(ValueError):
        json_in(text)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply("", refusal="I cannot help with that."), "refusal"),
        (reply("I'm sorry, but I can't assist with that request."), "refusal"),
        (reply("I’m sorry, but I can’t assist."), "refusal"),
        (reply("I am unable to see the image."), "refusal"),
        (reply("Sorry, no."), "refusal"),
        (reply('{"caption": "I\'m sorry, I can\'t describe people."}'), "refusal"),
        (reply('{"list": [{"caption": "I cannot identify them"}]}'), "refusal"),
        (reply('{"a": 1}', finish="content_filter"), "content filter"),
        (reply('{"a": 1}', finish="length"), "too long"),
        (reply(" \n"), "empty answer"),
        (reply("A cat sits."), "broken JSON"),
        (reply('{"a": '), "broken JSON"),
        (reply('{"a": "\\ud83d"}'), "broken JSON"),
        (reply('{"a": ' + "[" * 5000), "broken JSON"),
    ],
)
def test_answers_that_are_none(answer, kind):
    with pytest.raises(Failure) as caught:
        value_of(answer)
    assert caught.value.kind == kind


def test_a_scene_may_hold_what_sounds_like_a_refusal():
    value = {"caption": "a man unable to stand says I'm sorry", "other": "an apology, sorry"}
    assert value_of(reply(json.dumps(value))) == value


def test_an_answer_that_fits_may_hold_lists_for_tuples():
    answer = fitting({"names": ["a", "b"], "count": 2}, REQUEST)
    assert answer == Pair(names=("a", "b"), count=2)


def test_a_wrong_schema_is_described_for_the_model():
    with pytest.raises(Failure, match=r"names\.1: Field required; count: Input should") as caught:
        fitting({"names": ["a"], "count": "many"}, REQUEST)
    assert caught.value.kind == "wrong schema"
    assert json.loads(caught.value.answer) == {"names": ["a"], "count": "many"}


def test_a_check_says_what_is_wrong_in_its_own_words():
    request = Request("a/1", "a", "", ("?",), Pair, lambda pair: "Too few." if pair.count else None)
    with pytest.raises(Failure, match=r"^Too few\.$") as caught:
        fitting({"names": ["a", "b"], "count": 2}, request)
    assert caught.value.kind == "failed check"
    assert fitting({"names": ["a", "b"], "count": 0}, request)


def test_a_chat_completion_is_read():
    body = {
        "model": "m-2",
        "choices": [{"message": {"content": "hi", "refusal": None}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
    assert read_reply(json.dumps(body)) == Reply("hi", "", "length", "m-2", 3, 4)
    body["choices"][0]["message"]["content"] = "half \ud83d"
    assert read_reply(json.dumps(body)).content == "half ?"
    del body["usage"]
    body["choices"][0]["message"]["content"] = [{"type": "text", "text": "h"}, {"text": "o"}]
    assert read_reply(json.dumps(body)) == Reply("ho", "", "length", "m-2", None, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<html>", "broken JSON"),
        ("[]", "broken JSON"),
        ("null", "broken JSON"),
        ("[" * 100_000, "broken JSON"),
        ('{"choices": []}', "broken JSON"),
        ('{"choices": [{"text": "old"}]}', "broken JSON"),
        ('{"choices": [{"message": null}]}', "broken JSON"),
        ('{"error": {"message": "overloaded"}}', "server error"),
    ],
)
def test_bodies_that_are_no_chat_completion(text, kind):
    with pytest.raises(Failure) as caught:
        read_reply(text)
    assert caught.value.kind == kind
