"""A set of requests on their way: who goes next, what is repeated, when to stop."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import length_hint
from typing import Any

from pydantic import BaseModel

from reviosa.annotation.llm.backoff import backoff
from reviosa.annotation.llm.budget import Budget, OverBudgetError
from reviosa.annotation.llm.cache import Cache
from reviosa.annotation.llm.dead_letters import DeadLetters
from reviosa.annotation.llm.endpoint import Endpoint
from reviosa.annotation.llm.errors import REFUSED, TRANSPORT, UNPAID, BudgetError, Failure
from reviosa.annotation.llm.estimate import tokens_of
from reviosa.annotation.llm.keys import Keys, quiet_clients
from reviosa.annotation.llm.ledger import Ledger
from reviosa.annotation.llm.messages import Dialect, body_of, cache_key, follow_up
from reviosa.annotation.llm.reply import Reply, fitting, value_of
from reviosa.annotation.llm.request import Outcome, Request
from reviosa.annotation.llm.settings import StageSettings
from reviosa.errors import ConfigError, RunError

__all__ = ["Asking", "cached_answer", "stage_of"]


def cached_answer(cache: Cache, key: str, request: Request) -> BaseModel | None:
    """The kept answer to a request, if there is one that fits it."""
    entry = cache.read(key)
    if entry is None:
        return None
    try:
        return fitting(entry["answer"], request)
    except Failure:  # its check has become stricter since
        return None


def stage_of(request: Request, settings: Mapping[str, StageSettings]) -> StageSettings:
    """The settings of a request's stage.

    Raises:
        ConfigError: there are none.
    """
    if request.stage not in settings:
        raise ConfigError(
            f"{request.item}: got the stage {request.stage!r}, expected one of "
            f"{', '.join(sorted(settings))}; give it settings"
        )
    return settings[request.stage]


@dataclass(eq=False)
class Asking:
    """One call of :meth:`reviosa.annotation.llm.Desk.ask`; lives in one event loop."""

    settings: dict[str, StageSettings]
    budget: Budget
    keys: Keys
    cache: Cache
    ledger: Ledger
    letters: DeadLetters
    dialects: dict[tuple[str, str], Dialect]
    """By address and model, what was learnt; kept from one call to the next."""
    progress: Callable[[int, int], None] | None
    sleep: Callable[[float], Awaitable[None]]
    chance: random.Random
    answers: dict[str, BaseModel] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    _total: int = 0
    _seen: dict[str, None] = field(default_factory=dict)
    """Items in the order of their requests."""
    _stop: BaseException | None = None
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)
    _gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sending: set[asyncio.Task[Any] | None] = field(default_factory=set)
    _flights: dict[str, asyncio.Future[Failure | None]] = field(default_factory=dict)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    async def run(self, requests: Iterable[Request]) -> Outcome:
        """Answer or drop every request; see :meth:`reviosa.annotation.llm.Desk.ask`."""
        self._total = length_hint(requests)
        iterator = iter(requests)
        try:
            try:
                while self._stop is None:
                    # Drawing pictures takes a while; answers must not wait for it.
                    request = await asyncio.to_thread(next, iterator, None)
                    if request is None:
                        break
                    await self._start(request)
            except Exception as error:  # of the iterator or of a request that cannot be asked
                self._stop_for(error)
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await self._let_go()
        if isinstance(self._stop, OverBudgetError):
            raise self._over_budget(self._stop.dollars)
        if self._stop is not None:
            raise self._stop
        # In the order of the requests, whichever answer came first.
        answers = {item: self.answers[item] for item in self._seen if item in self.answers}
        dropped = {item: self.dropped[item] for item in self._seen if item in self.dropped}
        return Outcome(answers, dropped)

    async def _start(self, request: Request) -> None:
        """Answer a request from the cache, or send it as soon as its stage has room."""
        if request.item in self._seen:
            raise ValueError(f"two requests are about the item {request.item!r}")
        self._seen[request.item] = None
        key = cache_key(request, stage_of(request, self.settings))
        if (answer := cached_answer(self.cache, key, request)) is not None:
            self._done(request, answer)
            return
        gate = self._gate(request.stage)
        await gate.acquire()
        if self._stop is not None:
            return
        task = asyncio.create_task(self._item(request, key))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._landed(done, gate))

    def _landed(self, task: asyncio.Task[None], gate: asyncio.Semaphore) -> None:
        self._tasks.discard(task)
        gate.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop_for(error)

    def _stop_for(self, error: BaseException) -> None:
        """Send nothing more; what is on its way may still arrive."""
        if self._stop is None:
            self._stop = error
            for task in self._tasks - self._sending:
                task.cancel()

    async def _let_go(self) -> None:
        """Drop what is still on its way, after an interruption, and close connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._open.close()

    async def _item(self, request: Request, key: str) -> None:
        try:
            answer = await self._answer(request, key)
        except Failure as failure:
            self.dropped[request.item] = failure.why
            self._report()
        else:
            self._done(request, answer)

    def _done(self, request: Request, answer: BaseModel) -> None:
        self.answers[request.item] = answer
        self.letters.remove(request.item)
        self._report()

    def _report(self) -> None:
        if self.progress is not None:
            done = len(self.answers) + len(self.dropped)
            self.progress(done, max(self._total, len(self._seen)))

    async def _answer(self, request: Request, key: str) -> BaseModel:
        """The answer to a request; the same question is sent once, whoever asks it."""
        while (flight := self._flights.get(key)) is not None:
            failure = await asyncio.shield(flight)
            if failure is not None and failure.kind != "failed check":
                self._give_up(request, failure, 0)
                raise failure
            if (answer := cached_answer(self.cache, key, request)) is not None:
                return answer
            if failure is None:
                break  # answered, but not so that it passes the check of this one
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        failure = None
        try:
            return await self._repeat(request, key)
        except Failure as caught:
            failure = caught
            raise
        finally:
            del self._flights[key]
            flight.set_result(failure)

    async def _repeat(self, request: Request, key: str) -> BaseModel:
        """Send a request until it is answered or a kind of failure has come too often."""
        settings = self.settings[request.stage]
        endpoint = self._endpoint(request.stage)
        failures: Counter[str] = Counter()
        after: tuple[dict[str, Any], ...] = ()
        attempt = 0
        while True:
            attempt += 1
            dialect = endpoint.dialect
            try:
                return await self._send(request, key, endpoint, dialect, after, attempt)
            except Failure as caught:
                failure = caught
            if self._stop is not None:  # this one was let finish; it is not to begin again
                raise asyncio.CancelledError
            if failure.kind in REFUSED:
                endpoint.adapt(failure, dialect)
                self.dialects[settings.address, settings.model] = endpoint.dialect
                continue
            failures[failure.kind] += 1
            count = failures[failure.kind]
            if count > failure.limit(settings.retries):
                self._give_up(request, failure, attempt)
                if failure.kind in TRANSPORT or failure.kind == "bad item":
                    endpoint.gave_up(failure)
                raise failure
            if failure.kind in TRANSPORT:
                await self.sleep(backoff(count, self.chance, failure.pause_s))
            elif failure.kind in ("wrong schema", "failed check"):
                after = follow_up(request, failure.answer, failure.why)

    def _give_up(self, request: Request, failure: Failure, attempts: int) -> None:
        self.letters.add(
            request.item,
            stage=request.stage,
            kind=failure.kind,
            why=failure.why,
            attempts=attempts,
            answer=failure.answer[:300],
        )

    async def _send(
        self,
        request: Request,
        key: str,
        endpoint: Endpoint,
        dialect: Dialect,
        after: tuple[dict[str, Any], ...],
        attempt: int,
    ) -> BaseModel:
        """Send a request once and book it.

        From the reply on nothing is awaited: what was paid for is in the cache before this task
        can be cancelled.
        """
        settings = self.settings[request.stage]
        tokens_in = tokens_of(request, after)
        most = settings.dollars(tokens_in, settings.max_tokens)
        await self.budget.reserve(most)
        about = {"stage": request.stage, "model": settings.model, "item": request.item}
        ident = self.ledger.begin({**about, "attempt": attempt, "key": key}, most)
        self._sending.add(asyncio.current_task())
        outcome, usage = "interrupted", {"tokens_in": 0, "tokens_out": 0, "dollars": most}
        start = time.monotonic()
        try:
            body = body_of(request, settings, dialect, after)
            reply = await endpoint.send(body, settings.timeout_s)
            usage = _usage(reply, settings, tokens_in)
            value = self.keys.redact_values(value_of(reply))
            answer = fitting(value, request)
            entry = {**about, "id": ident, "answer": value, "usage": usage}
            self.cache.write(key, {**entry, "answered_by": reply.model})
            outcome = "answer"
            return answer
        except Failure as failure:
            outcome = failure.kind
            if failure.kind in UNPAID:
                usage = {**usage, "dollars": 0.0}
            raise
        except RunError:
            outcome, usage = "stopped", {**usage, "dollars": 0.0}
            raise
        finally:
            seconds = round(time.monotonic() - start, 3)
            self.ledger.end(ident, outcome=outcome, **usage, seconds=seconds)
            self.budget.settle(most, usage["dollars"])
            self._sending.discard(asyncio.current_task())

    def _over_budget(self, dollars: float) -> BudgetError:
        left = self._total - len(self.answers) - len(self.dropped)
        # Some of those that were not drawn any more may be in the cache.
        items = f"up to {left} of {self._total} items" if self._total else "items"
        return BudgetError(
            f"got {self.budget.spent:.4f} US dollars spent and a next request of up to "
            f"{dollars:.4f}, expected no more than the budget of {self.budget.limit:g}; "
            f"{items} are left: give a larger budget and run again, what is answered is kept"
        )

    def _endpoint(self, stage: str) -> Endpoint:
        if stage not in self._endpoints:
            settings = self.settings[stage]
            dialect = self.dialects.get((settings.address, settings.model), Dialect())
            self._endpoints[stage] = Endpoint(settings, self.keys, dialect)
            # After the client's import, which sets its logger as the environment says.
            self._open.enter_context(quiet_clients())
        return self._endpoints[stage]

    def _gate(self, stage: str) -> asyncio.Semaphore:
        if stage not in self._gates:
            self._gates[stage] = asyncio.Semaphore(self.settings[stage].concurrency)
        return self._gates[stage]


def _usage(reply: Reply, settings: StageSettings, tokens_in: int) -> dict[str, Any]:
    """Tokens by the endpoint's count, where it counts; else by our rule."""
    given = tokens_in if reply.tokens_in is None else reply.tokens_in
    made = -(-len(reply.content) // 4) if reply.tokens_out is None else reply.tokens_out
    return {"tokens_in": given, "tokens_out": made, "dollars": settings.dollars(given, made)}
