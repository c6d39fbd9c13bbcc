"""Claims and their verdicts as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.style import MISSING, number, signed, with_interval
from reports.tables import Table

if TYPE_CHECKING:
    from probes.study import Claim

__all__ = ["claim_table", "stated_in"]


def claim_table(claims: "Sequence[Claim]") -> Table:
    """One row a claim with its verdict."""
    trained = any(claim.seeds for claim in claims)
    rows = tuple(
        (
            claim.says,
            stated_in(claim, claims),
            claim.verdict,
            claim.unit,
            with_interval(claim.value, claim.ci, _digits(claim)),
            *([_seeds(claim)] if trained else []),
            signed(claim.paper, 1),
            number(claim.least, 2),
            f"{claim.n:,} / {claim.n_videos:,}",
        )
        for claim in claims
    )
    return Table(
        ("claim", "source", "verdict", "unit", "here [95 % interval]",
         *(["each seed"] if trained else []), "paper", "least that counts", "samples / videos"),
        rows,
        "Paper: what the source reports, n/a where it gives no number. Intervals: over videos and "
        "seeds; of a capture, over videos.",
        text_columns=4,
        name="claims",
    )  # fmt: skip


def stated_in(claim: "Claim", claims: "Sequence[Claim]") -> str:
    """Where a claim is stated; and the run, where the same claim is judged by several."""
    alike = [other for other in claims if other.says == claim.says]
    return f"{claim.source}; {', '.join(claim.runs)}" if len(alike) > 1 else claim.source


def _seeds(claim: "Claim") -> str:
    return ", ".join(number(value, 1) for value in claim.seeds.values()) or MISSING


def _digits(claim: "Claim") -> int:
    return 1 if claim.unit.startswith("points") else 2
