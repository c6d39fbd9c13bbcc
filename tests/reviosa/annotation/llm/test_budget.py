import asyncio
import json

import pytest

from reviosa.annotation.llm import BudgetError
from reviosa.annotation.llm.budget import Budget, OverBudgetError
from reviosa.errors import ConfigError, RunError
from reviosa.io import append_jsonl, read_jsonl
from tests.fixtures_llm import fake_llm, in_turn

REAL = (100 * 1 + 20 * 2) / 1e6
"""Price of an answer of the server, in dollars."""


def most_of(desk, request) -> float:
    return desk.estimate([request]).dollars_most


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_run_stops_before_it_may_cost_more_than_its_budget(
    concurrency, desk, asks, answer, tmp_path
):
    requests = [asks(10 + number) for number in range(20)]
    with fake_llm(answer) as server:
        budget = 4 * REAL + most_of(desk(server.url), requests[0])
        one = desk(server.url, budget, concurrency=concurrency)
        with pytest.raises(BudgetError, match="up to 15 of 20 items are left: give") as caught:
            one.ask(requests)
        assert isinstance(caught.value, RunError)
        assert f"expected no more than the budget of {budget:g}" in str(caught.value)
        # Four leave room for one more, and not for a sixth.
        assert len(server.seen) == 5
        assert one.spent()["a"].dollars == pytest.approx(5 * REAL) and budget >= 5 * REAL
        assert len(list((tmp_path / "llm" / "cache").glob("*/*"))) == 5

        # Nothing is left after a new start either; with more money the rest is asked for.
        with pytest.raises(BudgetError, match="of 20 items are left"):
            desk(server.url, budget).ask(requests)
        assert len(server.seen) == 5
        assert len(desk(server.url, 1.0).ask(requests).answers) == 20
        assert len(server.seen) == 20


def test_repetitions_draw_on_the_budget_as_well(desk, asks, answer):
    with fake_llm(answer, in_turn("refusal", "refusal")) as server:
        budget = REAL + most_of(desk(server.url), asks(1))
        with pytest.raises(BudgetError, match="up to 1 of 1 items are left"):
            desk(server.url, budget).ask([asks(1)])
        assert len(server.seen) == 2


def test_what_is_not_known_to_be_free_is_booked_at_its_highest_price(desk, asks, answer):
    with fake_llm(answer, in_turn("hang")) as server:
        one = desk(server.url, timeout_s=0.2)
        most = most_of(one, asks(1))
        one.ask([asks(1)])
    assert one.spent()["a"].dollars == pytest.approx(most + REAL)


def test_a_budget_of_nothing_pays_for_free_models_alone(desk, asks, answer):
    with fake_llm(answer) as server:
        with pytest.raises(BudgetError):
            desk(server.url, 0.0).ask([asks(1)])
        assert server.seen == []
        free = desk(server.url, 0.0, price_in=0.0, price_out=0.0)
        assert set(free.ask([asks(1)]).answers) == {"a/1"}


@pytest.mark.parametrize("budget", [-1.0, float("nan"), float("inf")])
def test_what_is_no_sum_of_money_is_refused(budget, desk):
    with pytest.raises(ConfigError, match="expected US dollars from 0"):
        desk("http://localhost/v1", budget)


def test_requests_wait_for_what_others_give_back():
    async def scene() -> list[str]:
        budget, events = Budget(1.0, 0.0), []
        await budget.reserve(0.6)

        async def second() -> None:
            await budget.reserve(0.6)
            events.append("second")

        task = asyncio.create_task(second())
        await asyncio.sleep(0)
        events.append("first ends")
        budget.settle(0.6, 0.3)
        await task
        with pytest.raises(OverBudgetError):  # 0.3 + 0.8 is too much whatever becomes of the second
            await budget.reserve(0.8)
        budget.settle(0.6, 0.6)
        assert budget.spent == pytest.approx(0.9)
        return events

    assert asyncio.run(scene()) == ["first ends", "second"]


def test_what_a_killed_process_had_in_flight_is_booked(desk, asks, answer, tmp_path):
    with fake_llm(answer) as server:
        desk(server.url).ask([asks(1), asks(2)])
        folder = tmp_path / "llm"
        first, second = read_jsonl(folder / "ledger.jsonl")
        # As it was between the second answer and its line, with a third question on its way.
        (folder / "ledger.jsonl").write_text(json.dumps(first) + '\n{"id": "torn')
        third = {**second, "id": "third", "key": "0" * 64, "item": "a/3"}
        for line in (first, second, third):
            noted = {k: line[k] for k in ("id", "time", "stage", "model", "item", "attempt", "key")}
            append_jsonl(folder / "in_flight.jsonl", {**noted, "dollars": 0.5})

        one = desk(server.url)
        assert one.spent()["a"].dollars == pytest.approx(2 * REAL + 0.5)
        assert one.spent()["a"].requests == 3
        with pytest.raises(BudgetError, match="0.5003 US dollars spent"):
            desk(server.url, 0.5).ask([asks(4)])
        lines = read_jsonl(folder / "ledger.jsonl")
        assert [line["outcome"] for line in lines] == ["answer", "answer", "lost"]
        assert desk(server.url).spent()["a"].dollars == pytest.approx(2 * REAL + 0.5)
