"""Do the heads matter? Ablations of their output at the role tokens, and what they cost in J&F.

Attention on an object may accompany a good mask without making it. Here heads are silenced while
everything else stays, and the masks are scored again: the same expression, answer and frames, so
that each difference is paired.

* Sets of heads, silenced or kept alone, against random sets of as many heads in the same layers,
  since layers differ in weight whatever their heads look at (ANALYSIS 3.7).
* Every head by itself, which tells the least that it does: others take over (arXiv 2307.15771).
* Random subsets of all heads and a linear model of what they cost: each head's effect beside many
  other losses (:mod:`probes.causal.regression`).
* Role-swap patching: two expressions of one video that name the same objects in exchanged roles
  ("the dog chasing the cat", "the cat being chased by the dog") lend each other the outputs of
  heads, and it is measured how far actor and target change places.
"""

from typing import TYPE_CHECKING, Any

from probes.causal.effects import read_effects
from probes.causal.plan import (
    Ablation,
    keep_ablations,
    layer_ablations,
    set_ablations,
    single_ablations,
    subset_ablations,
)
from probes.causal.regression import HeadEffect, SubsetRegression, regress_subsets
from probes.causal.summary import AblationEffect, AblationResults, summarise

if TYPE_CHECKING:
    from probes.causal.run import ablate

__all__ = [
    "Ablation",
    "AblationEffect",
    "AblationResults",
    "HeadEffect",
    "SubsetRegression",
    "ablate",
    "keep_ablations",
    "layer_ablations",
    "read_effects",
    "regress_subsets",
    "set_ablations",
    "single_ablations",
    "subset_ablations",
    "summarise",
]


def __getattr__(name: str) -> Any:
    # Whoever only reads effects, as pages do, must not wait for torch and transformers.
    if name == "ablate":
        from probes.causal.run import ablate

        return ablate
    raise AttributeError(f"module 'probes.causal' has no attribute {name!r}")
