"""A server on this machine that speaks the chat protocol, and fails when told to.

    with fake_llm(lambda body: '{"name": "cat"}', faults=at_random(0.2, seed=0)) as server:
        settings = StageSettings(base_url=server.url, ...)

``answer`` is given the JSON body of a request and returns the content of the answer; what was
asked is ``question(body)``, the text of the first user message, also where later messages find
fault with an earlier answer. ``faults`` says for each request which fault of :data:`FAULTS`, which
HTTP status as a word ("401"), or "length", "content_filter" or "drip" it gets; None for a good
answer. Error messages repeat the key that came with the request, as a careless server's might.
"""

import asyncio
import contextlib
import hashlib
import json
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reviosa.annotation.llm import StageSettings

__all__ = [
    "FAULTS",
    "FakeLLM",
    "Seen",
    "at_random",
    "fake_llm",
    "in_turn",
    "no_sleep",
    "question",
    "stage_settings",
]

FAULTS = (
    "429",
    "429 with Retry-After",
    "500",
    "hang",
    "broken body",
    "broken JSON",
    "refusal",
    "refusal in words",
    "wrong schema",
    "cut connection",
    "reset connection",
)
"""All that may happen to a request that deserves an answer."""

_NO_MAX_TOKENS = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead."
)

Faults = Callable[[int, dict[str, Any]], str | None]
"""Given how often the same question came before, and the body, the fault of this request."""


@dataclass(frozen=True)
class Seen:
    """A request that came in."""

    body: dict[str, Any]
    content: str
    """Hash of the question, the same when it is repeated or found fault with."""
    fault: str | None
    key: str
    """The key that came with it."""


@dataclass(eq=False)
class FakeLLM:
    """The running server, and what it saw."""

    url: str = ""
    """For ``base_url``."""
    seen: list[Seen] = field(default_factory=list)
    most_at_once: int = 0
    """Most requests that were being answered at the same time."""

    @property
    def asked(self) -> Counter[str]:
        """How often each question came, by its text."""
        return Counter(question(seen.body) for seen in tuple(self.seen))

    @property
    def answered(self) -> Counter[str]:
        """How often each question got a good answer, by its text."""
        return Counter(question(seen.body) for seen in tuple(self.seen) if seen.fault is None)

    @property
    def faults(self) -> Counter[str]:
        """How often each fault happened."""
        return Counter(seen.fault for seen in tuple(self.seen) if seen.fault is not None)


def stage_settings(url: str | None, **changes: Any) -> StageSettings:
    """Settings of a stage that is answered at ``url``; 1 dollar a million tokens in, 2 out."""
    values: dict[str, Any] = {
        "model": "small",
        "base_url": url,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 100,
        "timeout_s": 5.0,
        "concurrency": 8,
        "retries": 5,
        "price_in": 1.0,
        "price_out": 2.0,
    }
    return StageSettings(**{**values, **changes})


async def no_sleep(seconds: float) -> None:
    """Instead of waiting before a repetition."""
    await asyncio.sleep(0)


def question(body: dict[str, Any]) -> str:
    """The text of the first user message, pictures left out."""
    content = next(m["content"] for m in body["messages"] if m["role"] == "user")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def at_random(rate: float, seed: int, kinds: Sequence[str] = FAULTS) -> Faults:
    """A share ``rate`` of requests fails, each with one of ``kinds``.

    What happens to a question the first, second, third time depends on the seed and the question
    alone, not on the order in which requests arrive.
    """

    def fault(repetition: int, body: dict[str, Any]) -> str | None:
        chance = random.Random(f"{seed}/{repetition}/{_content(body)}")
        return chance.choice(kinds) if chance.random() < rate else None

    return fault


def in_turn(*faults: str | None) -> Faults:
    """Each question meets these faults in turn, and after them none."""
    return lambda repetition, body: faults[repetition] if repetition < len(faults) else None


@contextlib.contextmanager
def fake_llm(
    answer: Callable[[dict[str, Any]], str],
    faults: Faults | None = None,
    *,
    refuses: Sequence[str] = (),
    delay_s: float = 0.0,
    hang_s: float = 20.0,
    tokens: tuple[int, int] | None = (100, 20),
    retry_after: str = "0",
) -> Iterator[FakeLLM]:
    """Serve ``/v1/chat/completions`` on a free port of localhost while the block runs.

    Args:
        answer: from the body of a request to the content of the answer.
        faults: which requests fail; see :func:`at_random` and :func:`in_turn`.
        refuses: types of ``response_format`` ("json_schema", "json_object") and parameters
            ("max_tokens") that get status 400, which is noted as the fault "refused".
        delay_s: seconds that each answer takes.
        hang_s: seconds that the fault "hang" takes, unless the block ends before.
        tokens: what ``usage`` says went in and out; None to leave it out.
        retry_after: what "429 with Retry-After" asks for.
    """
    server, lock, over = FakeLLM(), threading.Lock(), threading.Event()
    times: Counter[str] = Counter()
    at_once = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            nonlocal at_once
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            form = body.get("response_format", {}).get("type")
            content = _content(body)
            with lock:
                refused = next((name for name in refuses if name == form or name in body), None)
                if refused is not None:
                    fault: str | None = "refused"
                else:
                    fault = faults(times[content], body) if faults else None
                    times[content] += 1
                server.seen.append(Seen(body, content, fault, key))
                at_once += 1
                server.most_at_once = max(server.most_at_once, at_once)
            try:
                if self.path != "/v1/chat/completions":
                    self.fail(404, f"no such path {self.path}", key)
                elif refused == "max_tokens":
                    self.fail(400, _NO_MAX_TOKENS, key)
                elif refused is not None:
                    self.fail(400, f"response_format of type {form} is not supported", key)
                else:
                    over.wait(delay_s)
                    self.respond(body, fault, key)
            finally:
                with lock:
                    at_once -= 1

        def respond(self, body: dict[str, Any], fault: str | None, key: str) -> None:
            if fault is not None and fault.startswith("429"):
                after = {"Retry-After": retry_after} if fault.endswith("Retry-After") else {}
                self.fail(429, "too many requests", key, after)
            elif fault is not None and fault.isdecimal():
                self.fail(int(fault), f"status {fault}", key)
            elif fault == "hang":
                over.wait(hang_s)
                self.close_connection = True
            elif fault == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while not over.wait(0.05):
                    self.wfile.write(b" ")  # until the client hangs up
            elif fault == "reset connection":
                # No linger: the kernel resets the connection instead of ending it.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
            elif fault == "broken body":
                self.send(200, '{"choices": [{"mess', key)
            elif fault == "broken JSON":
                self.complete(body, '{"name": "ca', key)
            elif fault == "wrong schema":
                self.complete(body, '{"no such property": [1, 2]}', key)
            elif fault == "refusal":
                self.complete(body, None, key, refusal="I cannot help with that.")
            elif fault == "refusal in words":
                self.complete(body, "I'm sorry, but I can't assist with that.", key)
            elif fault in ("length", "content_filter"):
                self.complete(body, '{"name": "ca', key, finish=fault)
            elif fault in (None, "cut connection"):
                self.complete(body, answer(body), key, cut=fault is not None)
            else:
                raise ValueError(f"no such fault: {fault}")

        def complete(
            self,
            body: dict[str, Any],
            content: str | None,
            key: str,
            refusal: str | None = None,
            finish: str = "stop",
            cut: bool = False,
        ) -> None:
            message = {"role": "assistant", "content": content, "refusal": refusal}
            value: dict[str, Any] = {
                "id": "chatcmpl-0",
                "object": "chat.completion",
                "created": 0,
                "model": f"{body['model']}-0",
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            }
            if tokens is not None:
                given, made = tokens
                value["usage"] = {
                    "prompt_tokens": given,
                    "completion_tokens": made,
                    "total_tokens": given + made,
                }
            self.send(200, json.dumps(value), key, cut=cut)

        def fail(
            self, status: int, message: str, key: str, headers: dict[str, str] | None = None
        ) -> None:
            error = {"message": f"{message}; your key is {key}", "type": "error", "code": None}
            self.send(status, json.dumps({"error": error}), key, headers)

        def send(
            self,
            status: int,
            text: str,
            key: str,
            headers: dict[str, str] | None = None,
            cut: bool = False,
        ) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Your-Key", key)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection |= cut

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that hang up are part of what is tested

    http = Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _content(body: dict[str, Any]) -> str:
    """Hash of model and question; the form in which JSON is asked for is no part of it."""
    user = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return hashlib.sha256(json.dumps([body["model"], user]).encode()).hexdigest()
