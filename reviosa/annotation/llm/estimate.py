"""What requests will cost, before any is sent."""

from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """Size and price of a set of requests; sums are made with ``+``."""

    requests: int = 0
    """Requests that would be sent."""
    cached: int = 0
    """Requests that are answered already; they cost nothing."""
    tokens_in: int = 0
    """Tokens sent, by the rule of :func:`tokens_of`."""
    tokens_out: int = 0
    """Tokens expected in answers."""
    tokens_out_most: int = 0
    """Tokens of answers that all are as long as the settings allow."""
    dollars: float = 0.0
    """Expected price in US dollars; repeated requests are not in it."""
    dollars_most: float = 0.0
    """Price in US dollars of the longest answers."""

    def __add__(self, other: "Estimate") -> "Estimate":
        names = self.__dataclass_fields__
        return Estimate(**{name: getattr(self, name) + getattr(other, name) for name in names})
