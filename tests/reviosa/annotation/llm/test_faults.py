"""Every fault of an endpoint alone and mixed: what is repeated, what is dropped, what stops."""

import json
import socket

import pytest

from reviosa.errors import RunError
from reviosa.io import read_jsonl
from tests.fixtures_llm import FAULTS, at_random, fake_llm, in_turn


def outcomes(folder):
    return [line["outcome"] for line in read_jsonl(folder / "llm" / "ledger.jsonl")]


def letters(folder):
    return read_jsonl(folder / "llm" / "dead_letters.jsonl")


KINDS = {
    "429": "rate limit",
    "429 with Retry-After": "rate limit",
    "500": "server error",
    "503": "server error",
    "408": "server error",
    "hang": "time-out",
    "drip": "time-out",
    "broken body": "broken JSON",
    "broken JSON": "broken JSON",
    "refusal": "refusal",
    "refusal in words": "refusal",
    "wrong schema": "wrong schema",
    "cut connection": "cut connection",
    "reset connection": "cut connection",
    "length": "too long",
    "content_filter": "content filter",
    "413": "bad item",
}


def test_every_fault_of_the_server_is_tested():
    assert set(FAULTS) <= set(KINDS)


@pytest.mark.parametrize("fault", [fault for fault in KINDS if fault != "413"])
def test_a_fault_is_got_over(fault, desk, asks, answer, tmp_path):
    with fake_llm(answer, in_turn(fault)) as server:
        outcome = desk(server.url, timeout_s=0.3 if fault in ("hang", "drip") else 5.0).ask(
            [asks(1)]
        )
    assert outcome.answers["a/1"].name == "question 1" and outcome.dropped == {}
    assert outcomes(tmp_path) == [KINDS[fault], "answer"]
    assert letters(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("500", 4),
        ("429", 4),
        ("cut connection", 4),
        ("broken JSON", 4),
        ("wrong schema", 4),
        ("refusal", 3),
        ("length", 2),
        ("content_filter", 2),
        ("413", 1),
    ],
)
def test_a_fault_that_stays_drops_its_item_and_no_other(fault, times, desk, asks, answer, tmp_path):
    def faults(repetition, body):
        return fault if "question 1" in json.dumps(body) else None

    with fake_llm(answer, faults) as server:
        outcome = desk(server.url, retries=3).ask([asks(1), asks(2)])
        assert server.asked == {"question 1": times, "question 2": 1}
    assert set(outcome.answers) == {"a/2"} and set(outcome.dropped) == {"a/1"}
    (letter,) = letters(tmp_path)
    assert letter["item"] == "a/1" and letter["stage"] == "a"
    assert letter["kind"] == KINDS[fault] and letter["attempts"] == times
    assert letter["why"] == outcome.dropped["a/1"]
    if fault == "wrong schema":
        assert letter["answer"] == '{"no such property": [1, 2]}'


def test_without_retries_nothing_is_repeated(desk, asks, answer):
    with fake_llm(answer, in_turn("500")) as server:
        assert set(desk(server.url, retries=0).ask([asks(1)]).dropped) == {"a/1"}
        assert len(server.seen) == 1


def test_kinds_are_counted_apart(desk, asks, answer):
    with fake_llm(answer, in_turn("500", "429", "refusal", "500", "429", "refusal")) as server:
        assert set(desk(server.url, retries=2).ask([asks(1)]).answers) == {"a/1"}


def test_waits_grow_and_heed_the_endpoint(desk, asks, answer):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    faults = in_turn("500", "500", "500", "429 with Retry-After", "refusal")
    with fake_llm(answer, faults, retry_after="7") as server:
        desk(server.url, sleep=sleep).ask([asks(1)])
    first, second, third, asked = waits  # a refusal is no reason to wait
    assert 0.25 <= first <= 0.5 <= second <= 1.0 <= third <= 2.0
    assert 7.0 <= asked <= 7.5


def test_300_questions_are_all_answered_while_a_fifth_of_requests_fails(
    desk, asks, answer, tmp_path
):
    with fake_llm(answer, at_random(0.2, seed=1)) as server:
        outcome = desk(server.url, timeout_s=1.0, concurrency=32).ask(map(asks, range(300)))
        assert outcome.dropped == {}
        assert {item: a.name for item, a in outcome.answers.items()} == {
            f"a/{number}": f"question {number}" for number in range(300)
        }
        assert set(server.faults) == set(FAULTS) and server.faults.total() > 40
        assert outcomes(tmp_path).count("answer") == 300
        assert len(outcomes(tmp_path)) == len(server.seen)


def test_what_a_check_finds_is_told_to_the_model_once(desk, asks, answer, tmp_path):
    def better(body):
        return json.dumps({"name": "short" if len(body["messages"]) > 2 else "much too long"})

    request = asks(1, check=lambda a: "The name is too long." if len(a.name) > 5 else None)
    with fake_llm(better) as server:
        assert desk(server.url).ask([request]).answers["a/1"].name == "short"
        first, second = (seen.body["messages"] for seen in server.seen)
    assert second[:2] == first
    assert second[2] == {"role": "assistant", "content": '{"name": "much too long"}'}
    assert "The name is too long." in second[3]["content"]
    assert outcomes(tmp_path) == ["failed check", "answer"]

    stubborn = asks(2, check=lambda a: "The name is wrong.")
    with fake_llm(answer) as server:
        outcome = desk(server.url).ask([stubborn])
        assert len(server.seen) == 2
    assert outcome.dropped == {"a/2": "The name is wrong."}


def test_an_item_that_is_answered_later_leaves_the_list(desk, asks, answer, tmp_path):
    with fake_llm(answer, lambda repetition, body: "refusal") as server:
        desk(server.url).ask([asks(1), asks(2)])
    assert {letter["item"] for letter in letters(tmp_path)} == {"a/1", "a/2"}
    with fake_llm(answer) as server:
        desk(server.url).ask([asks(1)])
    assert [letter["item"] for letter in letters(tmp_path)] == ["a/2"]


@pytest.mark.parametrize(
    ("refuses", "forms"),
    [
        (("json_schema",), ["json_schema", "json_object", "json_object"]),
        (("json_schema", "json_object"), ["json_schema", "json_object", None, None]),
    ],
)
def test_a_format_that_is_refused_is_not_asked_for_again(refuses, forms, desk, asks, answer):
    with fake_llm(answer, refuses=refuses) as server:
        one = desk(server.url, retries=0)
        assert set(one.ask([asks(1)]).answers) == {"a/1"}
        assert set(one.ask([asks(2)]).answers) == {"a/2"}
        asked = [seen.body.get("response_format", {}).get("type") for seen in server.seen]
        assert asked == forms
        assert '"properties"' in server.seen[-1].body["messages"][0]["content"]


def test_the_limit_of_an_answer_has_the_name_that_the_model_knows(desk, asks, answer):
    with fake_llm(answer, refuses=("max_tokens",)) as server:
        one = desk(server.url, retries=0)
        assert set(one.ask([asks(1)]).answers) == {"a/1"}
        assert set(one.ask([asks(2)]).answers) == {"a/2"}
        first, *others = (seen.body for seen in server.seen)
    assert first["max_tokens"] == 100 and len(others) == 2
    for body in others:
        assert body["max_completion_tokens"] == 100 and "max_tokens" not in body


def test_many_questions_find_out_together_that_a_format_is_refused(desk, asks, answer):
    with fake_llm(answer, refuses=("json_schema",), delay_s=0.01) as server:
        outcome = desk(server.url, retries=0).ask([asks(number) for number in range(20)])
        assert len(outcome.answers) == 20
        assert server.faults["refused"] <= 8


def test_fenced_answers_are_taken(desk, asks, answer):
    with fake_llm(lambda body: f"Gladly:\n```json\n{answer(body)}\n```") as server:
        assert desk(server.url).ask([asks(1)]).answers["a/1"].name == "question 1"


@pytest.mark.parametrize(
    ("status", "todo"),
    [
        ("401", "check the key in the environment variable OPENAI_API_KEY"),
        ("403", "check the key in the environment variable OPENAI_API_KEY"),
        ("402", "check the balance"),
        ("404", "check the model's name and base_url"),
        ("400", "check the settings of the stage"),
        ("422", "check the settings of the stage"),
    ],
)
def test_what_no_repetition_can_mend_stops_the_run(status, todo, desk, asks, answer, tmp_path):
    with fake_llm(answer, in_turn(status)) as server:
        with pytest.raises(RunError, match=f"small: got status {status} from .*{todo}") as caught:
            desk(server.url, concurrency=1).ask([asks(number) for number in range(50)])
        assert len(server.seen) == 1
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    assert outcomes(tmp_path) == ["stopped"] and letters(tmp_path) == []


def test_what_was_on_its_way_when_the_run_stopped_is_kept(desk, asks, answer, tmp_path):
    def faults(repetition, body):
        return "401" if "question 3" in json.dumps(body) else None

    with fake_llm(answer, faults, delay_s=0.1) as server:
        with pytest.raises(RunError, match="401"):
            desk(server.url, concurrency=4).ask([asks(number) for number in range(50)])
        sent = len(server.seen)
        # The bad one answers at once, the others while it is known already.
        assert outcomes(tmp_path).count("answer") == sent - 1 >= 3


def test_nothing_is_repeated_after_the_run_has_stopped(desk, asks, answer, tmp_path):
    def faults(repetition, body):
        return "401" if "question 0" in json.dumps(body) else "hang"

    with fake_llm(answer, faults) as server:
        with pytest.raises(RunError, match="401"):
            desk(server.url, concurrency=4, timeout_s=0.3).ask(map(asks, range(50)))
        assert len(server.seen) <= 4
    assert set(outcomes(tmp_path)) <= {"stopped", "time-out"} and letters(tmp_path) == []


def test_an_endpoint_that_is_not_there_stops_the_run(desk, asks, tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(RunError, match="cannot connect to .* retries: 1"):
            desk(url, concurrency=1, retries=2).ask([asks(number) for number in range(50)])
    assert outcomes(tmp_path) == ["no connection"] * 3
    assert desk(url).spent()["a"].dollars == 0.0


def test_an_endpoint_that_dies_stops_the_run(desk, asks, answer, tmp_path):
    def faults(repetition, body):
        return "500" if int(json.dumps(body).split("question ")[1][:2]) >= 20 else None

    dies = pytest.raises(RunError, match="used up their retries: 10")
    with fake_llm(answer, faults) as server, dies:
        desk(server.url, concurrency=2, retries=1).ask([asks(n) for n in range(10, 99)])
    assert len(letters(tmp_path)) in (10, 11)


def test_a_missing_package_names_the_extra(desk, asks, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ValueError, match=r"^got no package openai.*reviosa-workbench\[llm\]"):
        desk("http://localhost:1/v1").ask([asks(1)])
