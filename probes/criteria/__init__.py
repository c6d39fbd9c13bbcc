"""Head criteria: what a query token's attention says, with and without the true mask.

``where``, ``truth`` and ``gradient`` hold one pure function a criterion, ``criterion`` says what
one is, ``registry`` names them all.
"""

from probes.criteria.criterion import KINDS, Criterion, View
from probes.criteria.gradient import HeadOutputs
from probes.criteria.registry import CRITERIA, OUTCOME_OF, SCORED, head_metrics
from probes.criteria.truth import centrality, centre_share, mask_area
from probes.criteria.where import sink_patches

__all__ = [
    "CRITERIA",
    "KINDS",
    "OUTCOME_OF",
    "SCORED",
    "Criterion",
    "HeadOutputs",
    "View",
    "centrality",
    "centre_share",
    "head_metrics",
    "mask_area",
    "sink_patches",
]
