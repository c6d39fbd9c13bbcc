"""Keys of endpoints: taken from the environment, kept out of everything that is written."""

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reviosa.annotation.llm.settings import StageSettings
from reviosa.errors import ConfigError

__all__ = ["NO_KEY", "Keys", "quiet_clients"]

NO_KEY: Final = "none"
"""What is sent to an endpoint that needs no key; the client insists on one."""

# Servers without keys are given words such as "EMPTY" or "ollama", which may stand in an answer.
_SHORTEST: Final = 8

# The package openai has changed its HTTP client from one major version to the next.
_CLIENTS: Final = ("openai", "httpx", "httpx2", "httpcore", "httpcore2")


class Keys:
    """The keys that a set of stages uses.

    Args:
        settings: of all stages.
        environment: where the keys are; that of this process when none.
    """

    def __init__(
        self, settings: Iterable[StageSettings], environment: Mapping[str, str] | None = None
    ):
        self._environment = os.environ if environment is None else environment
        self._names = sorted({stage.key_env for stage in settings})

    def of(self, settings: StageSettings) -> str:
        """The key for a stage; :data:`NO_KEY` where none is set and the endpoint is one's own.

        Raises:
            ConfigError: OpenAI's endpoint is asked without a key, or the key cannot be sent.
        """
        key = self._environment.get(settings.key_env, "").strip()
        if not key and settings.base_url is None:
            raise ConfigError(
                f"got no key for {settings.address}, expected it in the environment variable "
                f"{settings.key_env}; set that, or give base_url of an endpoint without a key"
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f"got a key with characters that cannot be sent, expected letters and digits; "
                f"set the environment variable {settings.key_env} again"
            )
        return key or NO_KEY

    def redact(self, text: str) -> str:
        """``text`` with every key replaced by the name of its variable."""
        for name in self._names:
            key = self._environment.get(name, "").strip()
            if len(key) >= _SHORTEST:
                # As it is, and as it stands in JSON.
                text = text.replace(key, f"[{name}]").replace(json.dumps(key)[1:-1], f"[{name}]")
        return text

    def redact_values(self, value: Any) -> Any:
        """A JSON value with keys replaced in all of its strings."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self.redact_values(entry) for entry in value]
        if isinstance(value, dict):
            return {self.redact(key): self.redact_values(entry) for key, entry in value.items()}
        return value


@contextlib.contextmanager
def quiet_clients() -> Iterator[None]:
    """Let HTTP clients log warnings alone: in detail they log headers, as the server sent them."""
    loggers = [logging.getLogger(name) for name in _CLIENTS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.level, logging.WARNING))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
