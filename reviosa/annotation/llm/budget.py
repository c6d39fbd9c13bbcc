"""A sum of money that requests at the same time draw on."""

import asyncio

__all__ = ["Budget", "OverBudgetError"]


class OverBudgetError(Exception):
    """A request of up to ``dollars`` may cost more than is left."""

    def __init__(self, dollars: float):
        super().__init__(dollars)
        self.dollars = dollars


class Budget:
    """What may still be spent, with what is in flight taken off.

    Args:
        limit: US dollars; None for any sum.
        spent: US dollars that are gone already.
    """

    def __init__(self, limit: float | None, spent: float):
        self.limit, self.spent, self._reserved = limit, spent, 0.0
        self._in_flight = 0
        self._changed = asyncio.Event()

    async def reserve(self, dollars: float) -> None:
        """Set the highest price of a request aside; wait for others to end if that may help.

        Raises:
            OverBudgetError: it would not fit even if what is in flight cost nothing.
        """
        while self.limit is not None and self.spent + self._reserved + dollars > self.limit:
            if self.spent + dollars > self.limit or not self._in_flight:
                raise OverBudgetError(dollars)
            self._changed.clear()
            await self._changed.wait()
        self._reserved += dollars
        self._in_flight += 1

    def settle(self, reserved: float, spent: float) -> None:
        """Give back what was set aside for a request, and take what it cost."""
        self._in_flight -= 1
        # Without a rest of rounding when nothing is in flight.
        self._reserved = self._reserved - reserved if self._in_flight else 0.0
        self.spent += spent
        self._changed.set()
