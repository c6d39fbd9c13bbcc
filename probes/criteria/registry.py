"""Every criterion by its name: what it computes, where it comes from, how to read it.

Most are scores of single samples, whose mean over samples is a pair's score; those of the outcome
family are a pair's from the start, made of such scores and J&F over all samples.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from probes.criteria import gradient, truth, where
from probes.criteria._rows import as_rows_and_keys
from probes.criteria.criterion import Criterion, View
from probes.criteria.gradient import HeadOutputs

__all__ = ["CRITERIA", "OUTCOME_OF", "SCORED", "head_metrics"]


def _divergence(view: View) -> NDArray:
    return where.role_divergence(view.patches, view.other_patches)


def _sink_share(view: View) -> NDArray:
    if view.sinks is None:
        return np.full(view.patches.shape[:-1], np.nan)
    return where.sink_share(view.patches, view.sinks)


def _lift(view: View) -> NDArray:
    share = truth.mask_share(view.patches, view.truth)
    return truth.lift(share, truth.mask_area(view.truth))


def _pointing_lift(view: View) -> NDArray:
    hit = truth.pointing(view.patches, view.truth)
    return truth.lift(hit, truth.mask_area(view.truth))


def _anywhere(view: View) -> NDArray:
    if view.anywhere is None:
        return np.full(view.patches.shape[:-1], np.nan)
    rows, keys = as_rows_and_keys(view.anywhere, view.is_vision)
    return truth.mask_share(rows[..., keys], view.truth)


def _typical(view: View) -> NDArray:
    if view.typical is None:
        return np.full(view.patches.shape[:-1], np.nan)
    return truth.mask_share(view.typical, view.truth)


def _of_written(view: View, compute: Callable[[HeadOutputs], NDArray]) -> NDArray:
    if view.written is None:
        return np.full(view.patches.shape[:-1], np.nan)
    return compute(view.written)


_SHARE, _RATIO = "share, 0 to 1", "ratio, 1 = no preference"

CRITERIA: dict[str, Criterion] = {
    item.name: item
    for item in (
        Criterion(
            "visual_mass",
            "Visual attention",
            "share of the role token's attention that falls on vision tokens (the paper's choice)",
            "where",
            _SHARE,
            "S = sum_i A_i",
            "LocalizationHeads criterion 1, arXiv 2503.06287",
            lambda v: where.visual_mass(v.attention, v.is_vision),
        ),
        Criterion(
            "text_mass",
            "Text attention",
            "share of the role token's attention that falls on all other tokens",
            "where",
            _SHARE,
            "1 - S",
            "complement of visual attention",
            lambda v: where.text_mass(v.attention, v.is_vision),
        ),
        Criterion(
            "token_entropy",
            "Token entropy",
            "how evenly attention spreads over all patches: 0 for one patch, 1 for all alike",
            "where",
            "0 to 1",
            "-sum_i a_i ln a_i / ln V",
            "HIES, arXiv 2510.13832",
            lambda v: where.token_entropy(v.patches),
            even=1.0,
            low_first=True,
        ),
        Criterion(
            "spatial_entropy",
            "Spatial entropy",
            "in how many connected places of a frame the head looks: 0 for one place",
            "where",
            "nats",
            "-sum_k p_k ln p_k over the components of relu(A - mean A), mean over frames",
            "LocalizationHeads criterion 2, arXiv 2503.06287",
            lambda v: where.spatial_entropy(v.patches, v.grid),
            low_first=True,
        ),
        Criterion(
            "sink_share",
            "Sink share",
            "share of the attention on vision tokens that falls on patches of unusually long "
            "hidden states, which draw attention whatever is asked",
            "where",
            _SHARE,
            "sum over i in sinks of a_i",
            "visual attention sinks, arXiv 2503.03321",
            _sink_share,
            low_first=True,
        ),
        Criterion(
            "temporal_consistency",
            "Temporal consistency",
            "whether the head looks at the same places in all frames",
            "where",
            "correlation, -1 to 1",
            "mean over pairs of frames of corr(A_t, A_u)",
            "this project",
            lambda v: where.temporal_consistency(v.patches, v.grid),
        ),
        Criterion(
            "role_divergence",
            "Role divergence",
            "how differently the actor's and the target's token look",
            "where",
            "bits, 0 to 1",
            "JS(a_actor, a_target)",
            "this project",
            _divergence,
            even=0.0,
        ),
        Criterion(
            "vision_sensitivity",
            "Vision sensitivity",
            "how far the head's output moves when all frames go blank",
            "where",
            "length of a head's output",
            "norm(z - z_blank)",
            "vision-aware head divergence, arXiv 2412.13949",
            lambda v: _of_written(v, lambda w: gradient.vision_sensitivity(w.outputs, w.blank)),
            needs_gradients=True,
        ),
        Criterion(
            "mask_share",
            "Mask share",
            "share of the attention on vision tokens that lies on the object of the role",
            "ground truth",
            _SHARE,
            "E = sum_i a_i M_i",
            "energy-based pointing game, arXiv 1910.01279",
            lambda v: truth.mask_share(v.patches, v.truth),
            even="area",
        ),
        Criterion(
            "mask_share_sinkless",
            "Mask share without sinks",
            "mask share when attention on sink patches is taken out",
            "ground truth",
            _SHARE,
            "E of A with sinks set to 0",
            "visual attention sinks, arXiv 2503.03321",
            lambda v: truth.mask_share(v.sinkless, v.truth),
            even="area",
        ),
        Criterion(
            "lift",
            "Lift over area",
            "mask share over mask area: 1 for a head that looks everywhere alike",
            "ground truth",
            _RATIO,
            "E / (sum_i M_i / V)",
            "null-normalised mask share",
            _lift,
            area_free=True,
            even=1.0,
        ),
        Criterion(
            "pointing",
            "Pointing game",
            "whether the brightest patch lies on the object",
            "ground truth",
            _SHARE,
            "M[argmax_i A_i]",
            "Zhang et al. 2016",
            lambda v: truth.pointing(v.patches, v.truth),
            even="area",
        ),
        Criterion(
            "pointing_lift",
            "Hits over area",
            "the pointing game's hits over mask area",
            "ground truth",
            _RATIO,
            "M[argmax_i A_i] / (sum_i M_i / V)",
            "hit score of SparseMM",
            _pointing_lift,
            area_free=True,
            even=1.0,
        ),
        Criterion(
            "auroc",
            "AUROC",
            "chance that a patch of the object is brighter than one beside it",
            "ground truth",
            "0.5 = no preference",
            "P(A_i > A_j) + P(A_i = A_j) / 2 for i on the object, j beside it",
            "Mann-Whitney",
            lambda v: truth.auroc(v.patches, v.truth),
            area_free=True,
            even=0.5,
        ),
        Criterion(
            "average_precision",
            "Average precision",
            "precision over recall when patches are taken from the brightest on",
            "ground truth",
            _SHARE,
            "sum_n (R_n - R_(n-1)) P_n",
            "standard",
            lambda v: truth.average_precision(v.patches, v.truth),
            even="area",
        ),
        Criterion(
            "soft_iou",
            "Soft IoU",
            "overlap of the attention, scaled to its maximum, with the mask; no threshold",
            "ground truth",
            _SHARE,
            "sum_i min(b_i, M_i) / sum_i max(b_i, M_i), b = A / max A",
            "standard",
            lambda v: truth.soft_iou(v.patches, v.truth),
            even="area",
        ),
        Criterion(
            "role_contrast",
            "Role contrast",
            "how much more a role token looks at its own object than at the other role's",
            "ground truth",
            "difference of shares, -1 to 1",
            "E(M_own) - E(M_other)",
            "this project",
            lambda v: truth.role_contrast(v.patches, v.truth, v.other_truth),
        ),
        Criterion(
            "gradient_attention",
            "Gradient times attention",
            "attention that lowers the mask loss, to first order",
            "gradient",
            "mask loss",
            "sum_i max(0, -A_i dL/dA_i), L = cross-entropy + Dice of the role's mask",
            "Chefer et al. 2021, arXiv 2103.15679",
            lambda v: _of_written(
                v, lambda w: gradient.gradient_attention(v.patches, w.attention_gain)
            ),
            needs_gradients=True,
        ),
        Criterion(
            "head_importance",
            "Head importance",
            "how much the mask loss hangs on the head's output, whichever way",
            "gradient",
            "mask loss",
            "abs(z . dL/dz)",
            "Michel et al. 2019, arXiv 1905.10650",
            lambda v: _of_written(v, lambda w: gradient.head_importance(w.outputs, w.gain)),
            needs_gradients=True,
        ),
        Criterion(
            "attribution_patching",
            "Attribution patching",
            "how much the mask loss would rise, to first order, had the head written what it "
            "writes of blank frames",
            "gradient",
            "mask loss",
            "(z_blank - z) . dL/dz",
            "attribution patching, arXiv 2310.10348",
            lambda v: _of_written(
                v, lambda w: gradient.attribution_patching(w.outputs, w.blank, w.gain)
            ),
            needs_gradients=True,
        ),
        Criterion(
            "write_projection",
            "Write projection",
            "what the head writes along the mask prompt from the object's patches, less from all "
            "others; its direct path",
            "gradient",
            "parts of the prompt's length",
            "sum_i (2 M_i - 1) A_i (W_O v_i) . dp/dh p / norm(p)^2, p = MLP_seg(norm(h))",
            "LOCOS, arXiv 2607.01002",
            lambda v: _of_written(
                v, lambda w: gradient.write_projection(v.patches, w.written, v.truth)
            ),
            needs_gradients=True,
        ),
        Criterion(
            "jf_correlation",
            "Correlation with J&F",
            "whether masks are better where the head looks at the object more",
            "outcome",
            "Spearman, -1 to 1",
            "rho(E, J&F) over samples",
            "the paper's Fig. 6a, head by head",
            None,
            even=0.0,
        ),
        Criterion(
            "jf_correlation_area",
            "Correlation with J&F given area",
            "the same with the object's size held fixed, which helps both",
            "outcome",
            "partial Spearman, -1 to 1",
            "rho(E, J&F) over samples, log area taken out of both",
            "this project",
            None,
            area_free=True,
            even=0.0,
        ),
        Criterion(
            "mask_share_shifted",
            "Share of a shifted mask",
            "mask share when the mask is moved by half a frame: same area and shape, wrong place",
            "control",
            _SHARE,
            "E with M rolled by half the rows and columns",
            "null that keeps shape and area",
            lambda v: truth.mask_share(v.patches, truth.shifted(v.truth, v.grid)),
            even="area",
        ),
        Criterion(
            "mask_share_swapped",
            "Share of the other role's mask",
            "mask share of the other role's object, in the same video and frames",
            "control",
            _SHARE,
            "E(M_other)",
            "null that keeps the video",
            lambda v: truth.mask_share(v.patches, v.other_truth),
        ),
        Criterion(
            "mask_share_elsewhere",
            "Share of another video's mask",
            "mask share of an object of another video, in the same role",
            "control",
            _SHARE,
            "E(M of another video)",
            "null that keeps where objects tend to be",
            lambda v: truth.mask_share(v.patches, v._or_empty(v.elsewhere)),
        ),
        Criterion(
            "mask_share_any_token",
            "Mask share of any token",
            "mask share of a token of the conversation drawn blindly: what any token looks at",
            "control",
            _SHARE,
            "E of A at a random token behind the frames",
            "null that keeps the mask and the head",
            _anywhere,
            even="area",
        ),
        Criterion(
            "mask_share_typical",
            "Share of the mean map",
            "mask share of where the head looks in other videos on average: what it owes to places "
            "that it looks at whatever it is shown",
            "control",
            _SHARE,
            "E of the head's mean a over other videos",
            "content-blind form of the head",
            _typical,
            even="area",
        ),
    )
}


SCORED = {name: item for name, item in CRITERIA.items() if item.compute is not None}
"""Criteria of single samples: what a capture stores."""

OUTCOME_OF = "mask_share"
"""Score whose correlation with J&F the outcome family is."""


def head_metrics(view: View) -> dict[str, NDArray[np.float32]]:
    """All of :data:`SCORED` for one view, each float32 [layer, head].

    Raises:
        ValueError: the lengths of keys, patches, grid and masks do not fit each other.
    """
    return {name: item.score(view) for name, item in SCORED.items()}
