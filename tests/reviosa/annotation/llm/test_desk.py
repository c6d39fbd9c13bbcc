"""Who is asked when, what is kept, and what an interruption leaves."""

import asyncio
import base64
import io
import json
import os
import signal
import threading

import pytest
from PIL import Image
from pydantic import BaseModel

from reviosa.annotation.llm import Desk
from reviosa.annotation.llm.event_loop import run_to_end
from reviosa.errors import ConfigError, DataError
from reviosa.io import read_jsonl
from reviosa.process import sigterm_raises
from tests.fixtures_llm import fake_llm, in_turn, no_sleep, stage_settings


def test_answers_are_asked_for_once_in_the_life_of_a_run_folder(desk, asks, answer):
    requests = [asks(number) for number in range(5)]
    with fake_llm(answer) as server:
        first = desk(server.url).ask(requests)
        assert desk(server.url).ask(requests) == first
        assert len(server.seen) == 5
        # Another model knows nothing of it.
        desk(server.url, model="large").ask(requests)
        assert len(server.seen) == 10


def test_a_notebook_may_ask(desk, asks, answer):
    async def cell():
        return desk(server.url).ask([asks(1)])

    with fake_llm(answer) as server:
        found = asyncio.run(cell())
    assert list(found.answers) == [asks(1).item]


def test_an_interruption_in_a_notebook_ends_the_work():
    ended = []

    async def work():
        try:
            await asyncio.sleep(30)
            ended.append("by itself")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def cell():
        # To the thread that waits, as Ctrl+C goes: a signal to another would not wake it.
        of_cell = threading.main_thread().ident
        threading.Timer(0.2, signal.pthread_kill, (of_cell, signal.SIGUSR1)).start()
        run_to_end(work())

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(cell())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended == ["cancelled"]


def test_a_run_with_all_answers_needs_neither_endpoint_nor_key(desk, asks, answer):
    with fake_llm(answer) as server:
        first = desk(server.url).ask([asks(1)])
        url = server.url
    assert desk(url).ask([asks(1)]) == first


def test_a_damaged_answer_is_asked_for_again(desk, asks, answer, tmp_path):
    with fake_llm(answer) as server:
        desk(server.url).ask([asks(1)])
        (path,) = (tmp_path / "llm" / "cache").glob("??/*.json")
        assert path.stem[:2] == path.parent.name and len(path.stem) == 64
        whole = json.loads(path.read_text())
        path.write_text(path.read_text()[:20])
        assert set(desk(server.url).ask([asks(1)]).answers) == {"a/1"}
        assert len(server.seen) == 2
        again = json.loads(path.read_text())
        assert {**again, "id": ""} == {**whole, "id": ""}


def test_an_answer_that_a_new_check_refuses_is_asked_for_again(desk, asks, answer):
    with fake_llm(answer) as server:
        desk(server.url).ask([asks(1)])
        outcome = desk(server.url).ask([asks(1, check=lambda a: "No.")])
        assert len(server.seen) == 3 and outcome.dropped == {"a/1": "No."}


def test_the_same_question_is_sent_once(desk, asks, answer):
    with fake_llm(answer, delay_s=0.05) as server:
        outcome = desk(server.url).ask([asks(1, item=f"b/{n}") for n in range(8)])
        assert len(outcome.answers) == 8 and len(server.seen) == 1
    with fake_llm(answer, lambda *_: "refusal", delay_s=0.2) as server:
        outcome = desk(server.url, model="large").ask([asks(1, item=f"b/{n}") for n in range(8)])
        assert len(outcome.dropped) == 8 and len(server.seen) == 3


def test_the_same_question_with_another_check_is_its_own_affair(desk, asks, answer):
    easy, strict = asks(1, item="b/1"), asks(1, item="b/2", check=lambda a: "No.")
    for requests, sent in (([easy, strict], 3), ([strict, easy], 3)):
        with fake_llm(answer, delay_s=0.05) as server:
            outcome = desk(server.url).ask(requests)
            assert set(outcome.answers) == {"b/1"} and outcome.dropped == {"b/2": "No."}
            assert len(server.seen) == sent


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_of_a_stage_at_once_than_its_settings_allow(
    concurrency, desk, asks, answer
):
    with fake_llm(answer, delay_s=0.1) as server:
        desk(server.url, concurrency=concurrency).ask([asks(number) for number in range(6)])
        assert server.most_at_once == concurrency


def test_stages_have_their_own_models_and_bounds(tmp_path, asks, answer):
    with fake_llm(answer, delay_s=0.1) as server:
        stages = {
            "a": stage_settings(server.url, model="eye", concurrency=2),
            "b": stage_settings(server.url, model="pen", concurrency=2),
        }
        requests = [asks(n, item=f"{n}", stage="ab"[n % 2]) for n in range(8)]
        one = Desk(tmp_path, stages, sleep=no_sleep)
        assert len(one.ask(requests).answers) == 8
        assert server.most_at_once == 4
        assert [seen.body["model"] for seen in server.seen].count("pen") == 4
    spent = one.spent()
    assert spent["a"] == spent["b"].__class__(4, 4, 400, 80, spent["a"].dollars, spent["a"].seconds)
    assert spent["a"].dollars == pytest.approx(4 * (100 * 1 + 20 * 2) / 1e6)


def test_questions_are_drawn_as_there_is_room_for_them(desk, asks, answer):
    drawn, most = 0, 0

    with fake_llm(answer, delay_s=0.01) as server:

        def requests():
            nonlocal drawn, most
            assert threading.current_thread() is not threading.main_thread()
            for number in range(30):
                drawn += 1
                most = max(most, drawn - len(server.seen))
                yield asks(number)

        assert len(desk(server.url, concurrency=2).ask(requests()).answers) == 30
    assert most <= 4


def test_progress_counts_items_up_to_all(desk, asks, answer):
    calls = []
    with fake_llm(answer, in_turn("500")) as server:
        desk(server.url).ask([asks(1)])
        desk(server.url).ask([asks(n) for n in range(4)], lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_item_comes_once_and_its_stage_has_settings(desk, asks, answer):
    with fake_llm(answer) as server:
        with pytest.raises(ValueError, match="two requests are about the item 'a/1'"):
            desk(server.url).ask([asks(1), asks(2, item="a/1")])
        with pytest.raises(ConfigError, match="got the stage 'z', expected one of a"):
            desk(server.url).ask([asks(1, stage="z")])
        with pytest.raises(ConfigError, match="got the stage 'z', expected one of a"):
            desk(server.url).estimate([asks(1, stage="z")])


def test_an_error_while_questions_are_made_keeps_what_was_on_its_way(desk, asks, answer):
    def requests():
        yield asks(1)
        raise OSError("no picture")

    with fake_llm(answer, delay_s=0.1) as server:
        with pytest.raises(OSError, match="no picture"):
            desk(server.url).ask(requests())
        desk(server.url).ask([asks(1)])
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("sent", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_an_interruption_keeps_what_was_answered(sent, raised, desk, asks, answer, tmp_path):
    def faults(repetition, body):
        return "hang" if "question 7" in json.dumps(body) else None

    def interrupt(done, total):
        if done == 9:
            os.kill(os.getpid(), sent)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has none
    try:
        with fake_llm(answer, faults) as server:
            one = desk(server.url, timeout_s=60.0)
            with sigterm_raises(), pytest.raises(raised):
                one.ask([asks(number) for number in range(10)], interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    lines = read_jsonl(tmp_path / "llm" / "ledger.jsonl")
    assert sorted(line["outcome"] for line in lines) == ["answer"] * 9 + ["interrupted"]
    assert (tmp_path / "llm" / "in_flight.jsonl").read_text() == ""
    with fake_llm(answer) as other:
        desk(server.url).ask([asks(number) for number in range(10) if number != 7])
        assert other.seen == []


def test_a_line_of_the_ledger_says_what_was_sent(desk, asks, answer, tmp_path):
    with fake_llm(answer, in_turn("500")) as server:
        desk(server.url).ask([asks(1)])
    failed, answered = read_jsonl(tmp_path / "llm" / "ledger.jsonl")
    assert failed["outcome"] == "server error" and failed["attempt"] == 1
    assert (failed["tokens_in"], failed["tokens_out"], failed["dollars"]) == (0, 0, 0.0)
    assert answered["attempt"] == 2 and answered["item"] == "a/1" and answered["stage"] == "a"
    assert answered["model"] == "small" and answered["time"].endswith("+00:00")
    assert (answered["tokens_in"], answered["tokens_out"]) == (100, 20)
    assert answered["dollars"] == pytest.approx(140e-6)
    assert 0 < answered["seconds"] < 5


def test_tokens_that_the_endpoint_does_not_count_are_counted_by_rule(desk, asks, tmp_path):
    content = json.dumps({"name": "x" * 50})  # 62 characters
    with fake_llm(lambda body: content, tokens=None) as server:
        one = desk(server.url)
        estimate = one.estimate([asks(1)])
        one.ask([asks(1)])
    spent = one.spent()["a"]
    assert spent.tokens_in == estimate.tokens_in and spent.tokens_out == 16


def test_making_a_desk_writes_nothing(desk, asks, tmp_path):
    one = desk("http://localhost:1/v1")
    assert one.spent() == {} and one.estimate([asks(1)]).requests == 1
    assert list(tmp_path.iterdir()) == []


def test_answers_come_in_the_order_of_their_questions(desk, asks, answer):
    def faults(repetition, body):
        return "500" if repetition == 0 and "question 0" in json.dumps(body) else None

    with fake_llm(answer, faults) as server:
        outcome = desk(server.url).ask([asks(number) for number in range(9)])
    assert list(outcome.answers) == [f"a/{number}" for number in range(9)]


def test_pictures_reach_the_endpoint(desk, asks, answer):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, "JPEG")
    with fake_llm(answer) as server:
        request = asks(1, parts=("question 1", file.getvalue()))
        assert desk(server.url).ask([request]).answers["a/1"].name == "question 1"
        picture = server.seen[0].body["messages"][1]["content"][1]["image_url"]["url"]
    assert base64.b64decode(picture.split(",")[1]) == file.getvalue()
    with pytest.raises(DataError, match="a/2: got 4 bytes that are no picture, expected JPEG"):
        desk(server.url).ask([asks(2, parts=("question 2", b"nope"))])


def test_nested_answers_are_kept_whole(desk, asks):
    class Point(BaseModel):
        x: float

    class Points(BaseModel):
        points: list[Point]
        note: str | None

    content = '{"points": [{"x": 0.1}, {"x": 1e-9}], "note": null}'
    with fake_llm(lambda body: content) as server:
        first = desk(server.url).ask([asks(1, answer=Points)])
    again = desk(server.url).ask([asks(1, answer=Points)])
    assert again == first
    assert again.answers["a/1"] == Points(points=[Point(x=0.1), Point(x=1e-9)], note=None)
