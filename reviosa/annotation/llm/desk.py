"""The desk where questions go out and answers come in."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from reviosa.annotation.llm.asking import Asking, cached_answer, stage_of
from reviosa.annotation.llm.budget import Budget
from reviosa.annotation.llm.cache import Cache
from reviosa.annotation.llm.dead_letters import DeadLetters
from reviosa.annotation.llm.endpoint import require_client
from reviosa.annotation.llm.estimate import EXPECTED_SHARE, Estimate, tokens_of
from reviosa.annotation.llm.event_loop import run_to_end
from reviosa.annotation.llm.keys import Keys
from reviosa.annotation.llm.ledger import Ledger, Spending
from reviosa.annotation.llm.messages import Dialect, cache_key
from reviosa.annotation.llm.request import Outcome, Request
from reviosa.annotation.llm.settings import StageSettings
from reviosa.errors import ConfigError

__all__ = ["Desk"]


class Desk:
    """Asks the models of a run. One desk at a time may work in a run folder.

    ``folder/llm`` holds ``cache/``, ``ledger.jsonl`` and ``dead_letters.jsonl``; making a desk
    writes nothing.

    Args:
        folder: the run folder.
        settings: by name of the stage.
        budget: most US dollars that the run may cost, all its resumptions together; None for any.
        sleep: waits so many seconds before a repetition; tests need not.
        seed: of the random part of those waits.

    Raises:
        ConfigError: the budget is no sum of money.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, StageSettings],
        budget: float | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seed: int | None = None,
    ):
        if budget is not None and not (math.isfinite(budget) and budget >= 0):
            raise ConfigError(f"got a budget of {budget}, expected US dollars from 0; give a sum")
        self.folder = Path(folder) / "llm"
        self.settings, self.budget = dict(settings), budget
        self._cache = Cache(self.folder / "cache")
        self._ledger = Ledger(self.folder, self._cache)
        self._keys = Keys(self.settings.values())
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._sleep, self._chance = sleep, random.Random(seed)

    def require_ready(self) -> None:
        """Raise where no question could be asked, before long work that would lead up to one.

        Raises:
            ConfigError: a key is not in the environment, or there is no ``openai`` package.
        """
        require_client()
        for stage in self.settings.values():
            self._keys.of(stage)

    def ask(
        self,
        requests: Iterable[Request],
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """Get the answers to ``requests``: from the cache, else from the endpoints.

        Every answer is in the cache before it counts, so a run that was interrupted or killed
        sends no answered request again. Items that were given up are asked for again.

        Args:
            requests: taken in another thread and one by one, as there is room for them: pictures
                of thousands need not be held at once. With a ``len()`` the progress has a total.
            progress: called with the number of items done and of all, as far as they are known.

        Raises:
            BudgetError: the next request might cost more than is left. What is in flight is kept.
            RunError: what no repetition can mend: a key or a model that the endpoint does not
                know, a request it calls bad, an endpoint that cannot be reached.
            ConfigError: a stage without settings, a key that is not in the environment, or no
                ``openai`` package.
            DataError: a picture that cannot be read.
            ValueError: two requests are about the same item.
        """
        self._ledger.settle()
        letters = DeadLetters(self.folder)
        try:
            return run_to_end(self._asked(requests, letters, progress))
        finally:
            letters.save()
            self._ledger.settle()

    def estimate(self, requests: Iterable[Request]) -> Estimate:
        """Size and price of ``requests``; sends nothing and writes nothing.

        Tokens in follow :func:`reviosa.annotation.llm.estimate.tokens_of`. An answer is expected
        to be as long as the stage's answers in the ledger were on average; before there are any,
        a quarter of ``max_tokens``.

        Raises:
            ConfigError: a stage without settings.
            DataError: a picture that cannot be read.
        """
        spent, total, seen = self.spent(), Estimate(), set()
        for request in requests:
            settings = stage_of(request, self.settings)
            key = cache_key(request, settings)
            if key in seen or cached_answer(self._cache, key, request) is not None:
                total += Estimate(cached=1)
                continue
            seen.add(key)
            known = spent.get(request.stage, Spending())
            share = known.tokens_out / known.answers if known.answers else None
            tokens_in = tokens_of(request)
            tokens_out = math.ceil(settings.max_tokens / EXPECTED_SHARE if share is None else share)
            total += Estimate(
                requests=1,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                tokens_out_most=settings.max_tokens,
                dollars=settings.dollars(tokens_in, tokens_out),
                dollars_most=settings.dollars(tokens_in, settings.max_tokens),
            )
        return total

    def spent(self) -> dict[str, Spending]:
        """What was sent so far by stage, earlier processes of the run included; reads only."""
        return self._ledger.spending()

    async def _asked(
        self,
        requests: Iterable[Request],
        letters: DeadLetters,
        progress: Callable[[int, int], None] | None,
    ) -> Outcome:
        asking = Asking(
            settings=self.settings,
            budget=Budget(self.budget, self._ledger.dollars),
            keys=self._keys,
            cache=self._cache,
            ledger=self._ledger,
            letters=letters,
            dialects=self._dialects,
            progress=progress,
            sleep=self._sleep,
            chance=self._chance,
        )
        return await asking.run(requests)
