"""The desk where questions go out and answers come in."""

import asyncio
import base64
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from reviosa.annotation.llm.estimate import Estimate
from reviosa.annotation.llm.ledger import Spending
from reviosa.annotation.llm.request import Outcome, Request
from reviosa.annotation.llm.settings import StageSettings

__all__ = ["Desk"]


class Desk:
    """Asks the models of a run; one at a time may work in a run folder.

    ``folder/llm`` holds the cache of answers, the ledger of what was sent, and the list of what
    could not be had. Making a desk writes nothing.

    Args:
        folder: the run folder.
        settings: by name of the stage.
        budget: most US dollars that the run may cost, all its resumptions together; None for any.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, StageSettings], budget: float | None = None
    ):
        self.folder = Path(folder) / "llm"
        self.settings = dict(settings)
        self.budget = budget

    def ask(
        self,
        requests: Iterable[Request],
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """Get the answers to ``requests``: from the cache, else from the endpoints.

        Args:
            requests: drawn one by one as they are sent, so that pictures need not be held; with a
                ``len()`` the progress has a total.
            progress: called with the number of items done and of all.

        Raises:
            BudgetError: the next request might cost more than is left. What is in flight is kept.
            RunError: what no repetition can mend: a key or a model that the endpoint does not
                know, a request it calls bad, an endpoint that cannot be reached.
            ConfigError: a stage without settings, or a key that is not in the environment.
        """
        return asyncio.run(self._ask(list(requests), progress))

    def estimate(self, requests: Iterable[Request]) -> Estimate:
        """Size and price of ``requests``; sends nothing and writes nothing."""
        return sum((Estimate(requests=1) for _ in requests), Estimate())

    def spent(self) -> dict[str, Spending]:
        """What was sent so far by stage, resumptions included."""
        return {}

    async def _ask(self, requests: list[Request], progress: Any) -> Outcome:
        from openai import AsyncOpenAI

        answers, dropped = {}, {}
        for number, request in enumerate(requests, 1):
            s = self.settings[request.stage]
            client = AsyncOpenAI(api_key=os.environ.get(s.key_env, "none"), base_url=s.address)
            content: list[Any] = [
                {"type": "text", "text": part}
                if isinstance(part, str)
                else {
                    "type": "image_url",
                    "image_url": {
                        "url": "data:image/jpeg;base64," + base64.b64encode(part).decode()
                    },
                }
                for part in request.parts
            ]
            reply = await client.chat.completions.create(
                model=s.model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": content},
                ],
            )
            await client.close()
            text = reply.choices[0].message.content or ""
            answers[request.item] = request.answer.model_validate_json(text)
            if progress:
                progress(number, len(requests))
        return Outcome(answers, dropped)
