"""A request as the protocol has it: messages, response format, and the name of its answer."""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel

from reviosa.annotation.llm.request import Request
from reviosa.annotation.llm.settings import StageSettings

__all__ = ["FORMATS", "Dialect", "body_of", "cache_key", "follow_up", "strict_schema"]

FORMATS: Final = ("json_schema", "json_object", "text")
"""Ways to ask for JSON, the strictest first: the endpoint holds the model to a schema; to JSON of
any form; or it knows neither. In the last two the schema stands in the system message."""


@dataclass(frozen=True)
class Dialect:
    """How an endpoint is spoken to; what it refuses is learnt from its errors."""

    form: str = FORMATS[0]
    """One of :data:`FORMATS`."""
    limit: str = "max_tokens"
    """What bounds an answer; OpenAI's reasoning models want "max_completion_tokens"."""

    def after(self, refused: str) -> "Dialect":
        """What to try after the kind of failure "format refused" or "limit refused"."""
        if refused == "limit refused":
            return replace(self, limit="max_completion_tokens")
        return replace(self, form=FORMATS[FORMATS.index(self.form) + 1])


@functools.cache
def strict_schema(answer: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a model as strict structured output wants it; not to be changed.

    All properties are required and no others allowed; defaults are left out, since a required
    property has none; a reference stands alone.
    Source: OpenAI, "Structured Outputs", supported schemas.
    """
    whole = answer.model_json_schema()
    definitions = whole.get("$defs", {})

    def strict(schema: Any) -> Any:
        if isinstance(schema, list):
            return [strict(entry) for entry in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema and len(schema) > 1:
            # A described field: what it refers to is written out with the description.
            target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        result = {k: v for k, v in schema.items() if k not in ("default", "title")}
        for name in ("properties", "$defs"):  # names of their own, not words of the language
            if name in result:
                result[name] = {k: strict(v) for k, v in result[name].items()}
        for name in ("items", "prefixItems", "anyOf", "allOf", "oneOf"):
            if name in result:
                result[name] = strict(result[name])
        if "oneOf" in result:  # pydantic's discriminated unions; strict mode knows anyOf alone
            result["anyOf"] = result.pop("oneOf")
            result.pop("discriminator", None)
        if result.get("type") == "object" and "properties" in result:
            result |= {"additionalProperties": False, "required": list(result["properties"])}
        return result

    return strict(whole)


def body_of(
    request: Request,
    settings: StageSettings,
    dialect: Dialect = Dialect(),  # noqa: B008 - frozen
    after: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """What is sent to ``/chat/completions``.

    Args:
        request: the question.
        settings: of its stage.
        dialect: of the endpoint.
        after: messages that follow the question, see :func:`follow_up`.
    """
    schema = strict_schema(request.answer)
    system = request.system
    if dialect.form != "json_schema":
        system += (
            "\n\nAnswer with one JSON object and nothing else. It must fit this JSON schema:\n"
            + json.dumps(schema)
        )
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": _data_url(part)}}
        for part in request.parts
    ]
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [
            {"role": "system", "content": system},
            # Text models of some servers take no list of parts.
            {"role": "user", "content": content if _pictures(request) else _joined(request)},
            *after,
        ],
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        dialect.limit: settings.max_tokens,
    }
    if dialect.form == "json_schema":
        named = {"name": request.answer.__name__[:64], "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif dialect.form == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def follow_up(request: Request, answer: str, wrong: str) -> tuple[dict[str, Any], ...]:
    """Messages that say what is wrong with an answer, to be sent after the question.

    The schema is repeated: an endpoint may have ignored the response format in silence.
    """
    schema = json.dumps(strict_schema(request.answer))
    return (
        {"role": "assistant", "content": answer},
        {
            "role": "user",
            "content": f"This answer cannot be used: {wrong} Give the whole answer again, as one "
            f"JSON object that fits this JSON schema:\n{schema}",
        },
    )


def cache_key(request: Request, settings: StageSettings) -> str:
    """SHA-256 of all that an answer depends on: endpoint, model, sampling, messages, schema."""
    parts = [
        part if isinstance(part, str) else {"sha256": hashlib.sha256(part).hexdigest()}
        for part in request.parts
    ]
    content = {
        "version": 1,
        "base_url": settings.address,
        "model": settings.model,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "system": request.system,
        "parts": parts,
        "schema": strict_schema(request.answer),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _pictures(request: Request) -> bool:
    return any(isinstance(part, bytes) for part in request.parts)


def _joined(request: Request) -> str:
    return "\n".join(part for part in request.parts if isinstance(part, str))


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
