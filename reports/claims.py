"""Claims and their verdicts as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.style import MISSING, number, signed, with_interval
from reports.tables import Table

if TYPE_CHECKING:
    from probes.study import Claim

__all__ = ["claim_table"]


def claim_table(claims: "Sequence[Claim]") -> Table:
    """One row a claim with its verdict."""
    rows = tuple(
        (
            claim.says,
            claim.source,
            claim.verdict,
            signed(claim.paper, 1),
            number(claim.least, 2),
            with_interval(claim.value, claim.ci, _digits(claim)),
            claim.unit,
            ", ".join(number(value, 1) for value in claim.seeds.values()) or MISSING,
            f"{claim.n:,} / {claim.n_videos:,}",
        )
        for claim in claims
    )
    return Table(
        ("claim", "source", "verdict", "paper", "least that counts", "here [95 % interval]", "unit",
         "each seed", "samples / videos"),
        rows,
        "Paper: what the source reports, n/a where it gives no number. Intervals: over videos and "
        "seeds; of a capture, over videos.",
        text_columns=3,
        name="claims",
    )  # fmt: skip


def _digits(claim: "Claim") -> int:
    return 1 if claim.unit.startswith("points") else 2
