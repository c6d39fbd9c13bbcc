"""A key is sent to its endpoint and stands nowhere else, even where the server repeats it."""

import json
import logging
import traceback

import pytest

from reviosa.annotation.llm import Desk
from reviosa.annotation.llm.keys import Keys
from reviosa.errors import ConfigError, RunError
from tests.fixtures_llm import FAULTS, at_random, fake_llm, in_turn, no_sleep, stage_settings

KEY = 'sk-test/0123456789"secret'
"""With what JSON and URLs write in another way."""


@pytest.fixture
def with_key(monkeypatch):
    monkeypatch.setenv("A_KEY", f" {KEY}\n")


def holds_key(text: str) -> bool:
    return "0123456789" in text


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_key_goes_to_the_endpoint_and_is_written_nowhere(
    with_key, tmp_path, asks, caplog, capfd
):
    def careless(body):
        # The model itself repeats what it should not know.
        return json.dumps({"name": f"{body['model']} {KEY}"})

    caplog.set_level(logging.DEBUG)
    for client in ("openai", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, client)
    faults = at_random(0.5, seed=3, kinds=[*FAULTS, "413", "length"])
    with fake_llm(careless, faults) as server:
        stages = {"a": stage_settings(server.url, key_env="A_KEY", timeout_s=0.5, retries=2)}
        one = Desk(tmp_path, stages, sleep=no_sleep)
        outcome = one.ask([asks(number) for number in range(40)])
        assert {seen.key for seen in server.seen} == {KEY}
    assert outcome.answers["a/1"].name == "small [A_KEY]"
    assert outcome.dropped
    assert not holds_key(repr(outcome))
    assert len(files(tmp_path)) > 20
    for path in files(tmp_path):
        assert not holds_key(path.read_text()), path
    assert "A_KEY" in (tmp_path / "llm" / "dead_letters.jsonl").read_text()
    assert not holds_key(caplog.text) and caplog.records
    assert logging.getLogger("httpcore2").level == logging.DEBUG  # as it was before
    assert not holds_key("".join(capfd.readouterr()))
    assert not holds_key(repr(one.__dict__) + repr(stages))


@pytest.mark.parametrize(
    "content", [KEY, f"I cannot tell {KEY}", json.dumps({"wrong": KEY}), json.dumps([KEY])[:-1]]
)
def test_an_answer_on_the_list_of_what_was_dropped_holds_no_key(content, with_key, tmp_path, asks):
    with fake_llm(lambda body: content) as server:
        stages = {"a": stage_settings(server.url, key_env="A_KEY", retries=1)}
        outcome = Desk(tmp_path, stages, sleep=no_sleep).ask([asks(1)])
        # The follow-up sends no more than was kept.
        assert not any(holds_key(json.dumps(seen.body)) for seen in server.seen)
    assert set(outcome.dropped) == {"a/1"}
    letters = (tmp_path / "llm" / "dead_letters.jsonl").read_text()
    assert "[A_KEY]" in letters and not holds_key(letters)


@pytest.mark.parametrize("status", ["400", "401", "403", "404"])
def test_no_error_holds_the_key(status, with_key, tmp_path, asks, answer):
    with fake_llm(answer, in_turn(status)) as server:
        stages = {"a": stage_settings(server.url, key_env="A_KEY")}
        with pytest.raises(RunError, match=r"your key is \[A_KEY\]") as caught:
            Desk(tmp_path, stages).ask([asks(1)])
    assert not holds_key("".join(traceback.format_exception(caught.value)))
    for path in files(tmp_path):
        assert not holds_key(path.read_text())


def test_an_endpoint_of_ones_own_needs_no_key(monkeypatch, tmp_path, asks, answer):
    monkeypatch.delenv("A_KEY", raising=False)
    with fake_llm(answer) as server:
        stages = {"a": stage_settings(server.url, key_env="A_KEY")}
        assert set(Desk(tmp_path, stages).ask([asks(1)]).answers) == {"a/1"}
        assert server.seen[0].key == "none"


def test_openai_is_not_asked_without_a_key(monkeypatch, tmp_path, asks):
    monkeypatch.delenv("A_KEY", raising=False)
    # Where the client itself would look.
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    stages = {"a": stage_settings(None, key_env="A_KEY")}
    with pytest.raises(ConfigError, match=r"no key for https://api.openai.com/v1.* A_KEY; set"):
        Desk(tmp_path, stages).ask([asks(1)])


@pytest.mark.parametrize("key", ["sk-schlüssel", "sk-two\nlines"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key):
    keys = Keys([stage_settings(None, key_env="A_KEY")], {"A_KEY": key})
    with pytest.raises(ConfigError, match="set the environment variable A_KEY again") as caught:
        keys.of(stage_settings(None, key_env="A_KEY"))
    assert key not in str(caught.value)


def test_keys_are_replaced_in_every_string_of_a_value():
    keys = Keys(
        [stage_settings(None, key_env="A_KEY"), stage_settings(None, key_env="B_KEY")],
        {"A_KEY": "sk-1234567890", "B_KEY": "ollama"},
    )
    value = {"sk-1234567890": ["a sk-1234567890 b", 1, None, {"x": "ollama"}]}
    # A word that stands in for a key is no secret, and may well be meant.
    assert keys.redact_values(value) == {"[A_KEY]": ["a [A_KEY] b", 1, None, {"x": "ollama"}]}
