"""Which model answers a stage, how it is asked, and what it costs."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["OPENAI_URL", "StageSettings"]

OPENAI_URL: Final = "https://api.openai.com/v1"
"""Where requests go when no ``base_url`` is given."""

_Count = Annotated[int, Field(ge=1)]
_Price = Annotated[float, Field(ge=0)]


class StageSettings(BaseModel):
    """One stage of the annotation: model, endpoint, sampling, limits and prices."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # it may be a key in the wrong place
    )

    model: Annotated[str, Field(min_length=1)]
    """Name of the model as the endpoint knows it."""
    base_url: str | None = None
    """Address of the endpoint up to and with ``/v1``; OpenAI's own when none."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key. Only its name is ever written."""
    temperature: Annotated[float, Field(ge=0, le=2)]
    """Of the sampling; 0 takes the likeliest token."""
    top_p: Annotated[float, Field(gt=0, le=1)]
    """Share of the probability mass that is sampled from."""
    max_tokens: _Count
    """Most tokens of an answer."""
    timeout_s: Annotated[float, Field(gt=0)]
    """Seconds from sending a request to its whole answer."""
    concurrency: _Count
    """Most requests of this stage at once."""
    retries: Annotated[int, Field(ge=0)]
    """Most repetitions of a request for each kind of failure."""
    price_in: _Price
    """US dollars per million tokens sent."""
    price_out: _Price
    """US dollars per million tokens answered."""

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            # The value is not repeated: it may be a key in the wrong place.
            raise ValueError("got no address, expected one such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            # Settings are written to the run's files; a secret in an address would be too.
            raise ValueError(
                "got an address with a user, password or query, expected a plain one; "
                "put the key into the environment variable that key_env names"
            )
        return value.rstrip("/")

    @field_validator("key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str) -> str:
        # A key itself would be written to the run's files; those of OpenAI begin with "sk-".
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError(
                "got what is no name of an environment variable, expected one such as "
                "OPENAI_API_KEY; put the key into that variable, and its name here"
            )
        return value

    @property
    def address(self) -> str:
        """Where requests of this stage go."""
        return self.base_url or OPENAI_URL

    def dollars(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens in US dollars."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6
