import pytest
from pydantic import ValidationError

from tests.fixtures_llm import stage_settings


def test_an_address_is_kept_without_its_last_slash():
    assert stage_settings("http://localhost:8000/v1/").address == "http://localhost:8000/v1"
    assert stage_settings(None).address == "https://api.openai.com/v1"


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://host/v1", "http://", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValidationError, match="got no address, expected one such as"):
        stage_settings(address)


@pytest.mark.parametrize("address", ["http://me:secret@host/v1", "http://host/v1?key=secret"])
def test_an_address_with_a_secret_is_refused_without_repeating_it(address):
    with pytest.raises(ValidationError, match="expected a plain one") as caught:
        stage_settings(address)
    assert all("secret" not in fault["msg"] for fault in caught.value.errors())
    assert "secret" not in str(caught.value)


def test_a_key_in_the_place_of_the_address_is_not_repeated():
    with pytest.raises(ValidationError, match="expected one such as") as caught:
        stage_settings("sk-secret")
    assert all("sk-secret" not in fault["msg"] for fault in caught.value.errors())


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"max_tokens": 0},
        {"timeout_s": 0.0},
        {"concurrency": 0},
        {"retries": -1},
        {"price_in": -1.0},
        {"model": ""},
        {"api_key": "sk-1"},
    ],
    ids=str,
)
def test_values_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        stage_settings("http://localhost/v1", **wrong)


def test_the_price_is_per_million_tokens():
    assert stage_settings(None).dollars(1_000_000, 500_000) == 1.0 + 1.0


@pytest.mark.parametrize("name", ["sk-secret-0123", "", "MY KEY", "$KEY", "KEY=1"])
def test_a_key_in_the_place_of_its_name_is_refused_without_repeating_it(name):
    with pytest.raises(ValidationError, match="no name of an environment variable") as caught:
        stage_settings("http://localhost/v1", key_env=name)
    assert "sk-secret" not in str(caught.value)


def test_a_key_among_the_settings_is_refused_without_repeating_it():
    with pytest.raises(ValidationError, match="api_key") as caught:
        stage_settings("http://localhost/v1", api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)
