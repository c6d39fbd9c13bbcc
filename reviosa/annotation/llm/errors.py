"""Errors that stop a run of questions, and failures of one request."""

from typing import Final

from reviosa.errors import RunError

__all__ = ["LIMITS", "REFUSED", "TRANSPORT", "UNPAID", "BudgetError", "Failure"]

TRANSPORT: Final = ("rate limit", "server error", "time-out", "cut connection", "no connection")
"""Kinds of failure that say nothing about the question; they are repeated after a pause."""

REFUSED: Final = ("format refused", "limit refused")
"""Kinds of failure that show how an endpoint wants to be spoken to; the request is put anew."""

UNPAID: Final = ("rate limit", "server error", "no connection", "bad item", *REFUSED)
"""Kinds of failure that cost nothing. After the others the endpoint may charge for its work."""

LIMITS: Final[dict[str, int]] = {
    "empty answer": 2,
    "refusal": 2,
    "failed check": 1,
    "too long": 1,
    "content filter": 1,
    "bad item": 0,
}
"""Most repetitions by kind, where a stage's ``retries`` allow more. What the model means to say is
asked for again only a little: a refusal rarely turns into an answer, and each costs tokens."""


class BudgetError(RunError):
    """The next request might cost more than is left of the budget; nothing answered is lost."""


class Failure(Exception):
    """One request came to nothing.

    Args:
        kind: one of :data:`TRANSPORT`, :data:`LIMITS` or :data:`REFUSED`, "broken JSON", or
            "wrong schema".
        why: a sentence for people, without any key.
        pause_s: what the endpoint asks to wait, in seconds.
        answer: what the model said, where it did.
    """

    def __init__(self, kind: str, why: str, pause_s: float | None = None, answer: str = ""):
        super().__init__(why)
        self.kind, self.why, self.pause_s, self.answer = kind, why, pause_s, answer

    def limit(self, retries: int) -> int:
        """Most repetitions for this kind, where a stage allows ``retries``."""
        return min(retries, LIMITS.get(self.kind, retries))
