"""What an endpoint sent back, read down to an answer that fits."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from reviosa.annotation.llm.errors import Failure
from reviosa.annotation.llm.request import Request

__all__ = ["Reply", "fitting", "json_in", "read_reply", "value_of"]

_REFUSAL: Final = re.compile(
    r"\W*(i\s*['’]?\s*a?m (very |so |really )?sorry|sorry,|i (can\s?not|can['’]t|won['’]t) "
    r"|i\s*['’]?\s*a?m (unable|not able) to|unfortunately, i|as an ai\b)",
    re.IGNORECASE,
)
"""How refusals begin. Further on in a sentence, such words may well describe a scene."""


@dataclass(frozen=True)
class Reply:
    """The parts of a chat completion that matter here."""

    content: str
    refusal: str
    finish: str
    """Why the answer ends: "stop", "length", "content_filter"."""
    model: str
    """The model that answered, by the endpoint's word."""
    tokens_in: int | None
    """None where the endpoint does not count."""
    tokens_out: int | None


def read_reply(text: str) -> Reply:
    """Read the body of a successful HTTP answer.

    Raises:
        Failure: "broken JSON" where it is no JSON or no chat completion, "server error" where it
            carries an error all the same.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Failure("broken JSON", f"the endpoint sent no JSON: {text[:80]!r}") from None
    if isinstance(value, dict) and value.get("error") and not value.get("choices"):
        raise Failure("server error", f"the endpoint sent an error: {str(value['error'])[:200]}")
    try:
        choice = value["choices"][0]
        message = choice["message"]
        usage = value.get("usage") or {}
        return Reply(
            content=_text(message.get("content")),
            refusal=_text(message.get("refusal")),
            finish=str(choice.get("finish_reason") or "stop"),
            model=str(value.get("model") or ""),
            tokens_in=_count(usage.get("prompt_tokens")),
            tokens_out=_count(usage.get("completion_tokens")),
        )
    except (AttributeError, IndexError, KeyError, TypeError):
        raise Failure(
            "broken JSON", f"the endpoint sent no chat completion: {text[:80]!r}"
        ) from None


def value_of(reply: Reply) -> Any:
    """The JSON value that a model answered.

    Raises:
        Failure: "refusal", "content filter", "too long", "empty answer" or "broken JSON".
    """
    content = reply.content
    if reply.refusal:
        raise Failure("refusal", f"the model refused: {_short(reply.refusal)}", answer=content)
    if reply.finish == "content_filter":
        raise Failure("content filter", "the endpoint filtered the answer", answer=content)
    if reply.finish == "length":
        raise Failure("too long", "the answer is longer than max_tokens", answer=content)
    if not content.strip():
        raise Failure("empty answer", "the answer is empty")
    try:
        value = json_in(content)
        # Half of a surrogate pair, written with an escape, is text that no file can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        if _REFUSAL.match(content):
            raise Failure(
                "refusal", f"the model refused: {_short(content)}", answer=content
            ) from None
        raise Failure(
            "broken JSON", f"the answer is no JSON: {_short(content)}", answer=content
        ) from None
    refused = next((text for text in _strings(value) if _REFUSAL.match(text)), None)
    if refused is not None:
        raise Failure("refusal", f"the model refused: {_short(refused)}", answer=content)
    return value


def fitting(value: Any, request: Request) -> BaseModel:
    """The answer that a JSON value is, if it fits the request's schema and passes its check.

    Raises:
        Failure: "wrong schema" or "failed check", each with a sentence that the model can use.
    """
    content = json.dumps(value, ensure_ascii=False)
    try:
        # From text, so that strict models take what JSON can hold: lists for tuples, for example.
        answer = request.answer.model_validate_json(content)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the answer'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_context=False)
        ]
        why = f"it does not fit the schema: {'; '.join(faults[:5])}."
        raise Failure("wrong schema", why, answer=content) from None
    wrong = request.check(answer) if request.check else None
    if wrong:
        raise Failure("failed check", wrong, answer=content)
    return answer


def json_in(text: str) -> Any:
    """The JSON object or list in ``text``: the whole of it, in a fence, or between other words.

    Raises:
        ValueError: there is none.
    """
    # Thinking models of open servers put their thoughts first.
    text = re.sub(r"^\s*<think>.*?</think>", "", text, flags=re.DOTALL)
    fenced = re.findall(r"```(?:json)?[ \t]*\n(.*?)```", text, re.DOTALL | re.IGNORECASE)
    for candidate in (text, *fenced):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):  # a model that has lost its way repeats brackets
            continue
        if isinstance(value, dict | list):
            return value
    decoder = json.JSONDecoder()
    for start in re.finditer("{", text):
        try:
            value, _ = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        # Braces with nothing in them are not meant as an answer.
        if value:
            return value
    raise ValueError("no JSON object in the text")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    entries = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    return [text for entry in entries for text in _strings(entry)]


def _text(value: Any) -> str:
    if isinstance(value, list):  # parts, as some servers send them
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else line[:117] + "..."
