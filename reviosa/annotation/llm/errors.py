"""Errors that stop a run of questions."""

from reviosa.errors import RunError

__all__ = ["BudgetError"]


class BudgetError(RunError):
    """The next request might cost more than is left of the budget; nothing answered is lost."""
