"""What was sent and what it cost, a line per request."""

from dataclasses import dataclass

__all__ = ["Spending"]


@dataclass(frozen=True)
class Spending:
    """What the requests of a stage took together."""

    requests: int = 0
    """Requests that were sent, repetitions too."""
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0
    """US dollars by the settings' prices."""
    seconds: float = 0.0
    """Seconds of waiting for answers, summed over requests that ran side by side."""
