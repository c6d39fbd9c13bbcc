"""One endpoint: sending a request, and sorting what can go wrong with it."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from reviosa.annotation.llm.backoff import retry_after
from reviosa.annotation.llm.errors import Failure
from reviosa.annotation.llm.keys import Keys
from reviosa.annotation.llm.messages import Dialect
from reviosa.annotation.llm.reply import Reply, read_reply
from reviosa.annotation.llm.settings import StageSettings
from reviosa.errors import ConfigError, RunError

if TYPE_CHECKING:
    from openai import APIError, APIStatusError

__all__ = ["Endpoint", "require_client"]

_OF_THE_FORMAT: Final = ("response_format", "json_schema", "json schema", "guided", "grammar")
"""Words of an error that the response format is to blame for."""

_OF_THE_LIMIT: Final = "use 'max_completion_tokens' instead"

_LOST_IN_A_ROW: Final = 10
"""Questions without an answer after which an endpoint is taken for broken. Thousands more would
only fill the list of what was dropped."""

_OF_THE_ITEM: Final = (
    "context_length",
    "context length",
    "content_policy",
    "content_filter",
    "content management policy",
    "image",
)
"""Words of an error that only this question is to blame for: too long, not allowed, a picture."""


def require_client() -> None:
    """Raise ConfigError where the ``openai`` package is not installed."""
    try:
        import openai  # noqa: F401
    except ImportError:
        raise ConfigError(
            "got no package openai, expected it for stages with a language model; "
            "install it with: pip install 'reviosa-workbench[llm]'"
        ) from None


class Endpoint:
    """The model behind an address, asked with one key.

    Args:
        settings: of a stage that uses it.
        keys: of the run.
        dialect: that it is known to understand, or the first to try.

    Raises:
        ConfigError: there is no key, or the ``openai`` package is not installed.
    """

    def __init__(self, settings: StageSettings, keys: Keys, dialect: Dialect):
        require_client()
        from openai import AsyncOpenAI

        self.settings, self.dialect, self._keys = settings, dialect, keys
        self._answered, self._lost = False, 0
        # Our own repetitions know what failed, keep the budget and stand in the ledger.
        self._client = AsyncOpenAI(
            api_key=keys.of(settings), base_url=settings.address, max_retries=0
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def send(self, body: dict[str, Any], timeout_s: float) -> Reply:
        """Send a request once.

        Raises:
            Failure: of a kind that may be mended, or that only this question has.
            RunError: no question will be answered: the key, the model or the settings are wrong.
        """
        import openai

        try:
            # The client's limit is for each read; a server that drips would go on for ever.
            async with asyncio.timeout(timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(
                    **body, timeout=timeout_s
                )
                text = raw.text
        except (TimeoutError, openai.APITimeoutError):
            error: Exception = Failure("time-out", f"no answer within {timeout_s:g} s")
        except openai.APIStatusError as caught:
            self._answered = True
            error = self._sorted(caught, body)
        except openai.APIError as caught:
            error = self._not_connected(caught)
        else:
            self._answered = True
            reply = read_reply(self._keys.redact(text))
            self._lost = 0
            # Again: what was JSON within JSON can be read now.
            return Reply(**self._keys.redact_values(vars(reply)))
        # Raised out here, where the client's error, which knows the key, is not its context.
        raise error

    def adapt(self, failure: Failure, spoken: Dialect) -> None:
        """Speak in another way from now on, after the one that was ``spoken`` was refused."""
        if self.dialect == spoken:  # else another request has done it already
            self.dialect = spoken.after(failure.kind)

    def gave_up(self, failure: Failure) -> None:
        """Count a question that this endpoint, not the model, left without an answer.

        Raises:
            RunError: it has never sent anything, or left too many questions in a row.
        """
        self._lost += 1
        if not self._answered or self._lost >= _LOST_IN_A_ROW:
            s = self.settings
            raise RunError(
                f"{s.model}: got no answer from {s.address} ({failure.why}; questions in a row "
                f"that used up their retries: {self._lost}), expected one; check the server and "
                "the settings, then run again: what is answered is kept"
            )

    def _not_connected(self, error: "APIError") -> Failure:
        cause = error.__cause__
        why = self._keys.redact(str(cause or error)).strip() or type(cause or error).__name__
        if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol"):
            return Failure("no connection", f"cannot connect to {self.settings.address}: {why}")
        return Failure("cut connection", f"the connection was cut: {why}")

    def _sorted(self, error: "APIStatusError", body: dict[str, Any]) -> Exception:
        status, s = error.status_code, self.settings
        said = self._said(error)
        words = f"{said} {error.code or ''}".lower()
        if status == 429 and "insufficient_quota" not in words:
            pause_s = retry_after(error.response.headers, time.time())
            return Failure("rate limit", f"too many requests (429): {said}", pause_s)
        if status in (408, 409, 425) or status >= 500:
            pause_s = retry_after(error.response.headers, time.time())
            return Failure("server error", f"the endpoint failed ({status}): {said}", pause_s)
        if status == 400 and "max_tokens" in body and _OF_THE_LIMIT in words:
            return Failure("limit refused", f"max_tokens is refused: {said}")
        form = body.get("response_format", {}).get("type")
        if status in (400, 422) and form and any(w in words for w in _OF_THE_FORMAT):
            return Failure("format refused", f"response_format {form} is refused: {said}")
        if status == 413 or (status in (400, 422) and any(w in words for w in _OF_THE_ITEM)):
            return Failure("bad item", f"the endpoint takes no such question ({status}): {said}")
        if status in (401, 403):
            todo = f"check the key in the environment variable {s.key_env}"
        elif status in (402, 429):
            todo = "check the balance of the account"
        elif status == 404:
            todo = f"check the model's name and base_url ({s.address})"
        else:
            todo = "check the settings of the stage"
        return RunError(
            f"{s.model}: got status {status} from {s.address} ({said}), expected an answer; "
            f"{todo}, then run again: what is answered is kept"
        )

    def _said(self, error: "APIStatusError") -> str:
        """What the endpoint says is wrong, in one short line without the key."""
        body: Any = error.body
        if isinstance(body, dict):
            inner = body.get("error", body)
            body = inner.get("message", inner) if isinstance(inner, dict) else inner
        line = " ".join(self._keys.redact(str(body or error.message)).split())
        return line if len(line) <= 200 else line[:197] + "..."
