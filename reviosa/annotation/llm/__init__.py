"""Questions to language models behind OpenAI-compatible endpoints, asked so that a run can end.

Answers are cached by content, costs are booked, faults are retried by kind, a budget is kept, and
what cannot be had is listed. See :class:`Desk`.
"""

from reviosa.annotation.llm.desk import Desk
from reviosa.annotation.llm.errors import BudgetError
from reviosa.annotation.llm.estimate import Estimate
from reviosa.annotation.llm.ledger import Spending
from reviosa.annotation.llm.request import Outcome, Request
from reviosa.annotation.llm.settings import StageSettings

__all__ = ["BudgetError", "Desk", "Estimate", "Outcome", "Request", "Spending", "StageSettings"]
