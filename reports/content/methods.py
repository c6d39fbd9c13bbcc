"""How the numbers were made: the equations, in the order in which a reader needs them."""

from collections.abc import Iterator

from probes.criteria import CRITERIA
from probes.report import ReportResults
from reports.document import Block, Equation, Paragraph, Section, Subheading
from reports.tables import Table

__all__ = ["MAPPED", "all_criteria", "methods"]

MAPPED = ("visual_mass", "mask_share", "lift")
"""Criteria shown as maps and rankings; all others stand in one table, and in the CSV."""

_SCORES = Equation(
    r"\mathcal{J} = \dfrac{|P \cap G|}{|P \cup G|}, \quad "
    r"\mathcal{F} = \dfrac{2\,p\,r}{p + r}, \quad "
    r"\mathcal{Q} = \dfrac{\mathcal{J} + \mathcal{F}}{2}",
    "J is the overlap of the predicted region P and the true region G of a frame, 1 where both are "
    "empty. F is the harmonic mean of p, the share of the predicted boundary that lies within a "
    "small radius (0.008 of the frame's diagonal) of the true one, and r, the reverse. Q is what "
    "is written J&F. All are means over frames, then over expressions, as in MeViS; F is that of "
    "DAVIS. A role that the model did not name counts as 0.",
)
_LOOKS = {
    "visual_mass": Equation(
        r"S^{(l,h)} = \sum_{i} A^{(l,h)}_i",
        "Visual attention: A is the attention of the role token in layer l, head h on vision patch "
        "i; the rest of its attention falls on text. No truth is needed.",
    ),
    "mask_share": Equation(
        r"E^{(l,h)} = \dfrac{\sum_{i} A^{(l,h)}_i M_i}{\sum_{i} A^{(l,h)}_i}",
        "Mask share: the part of the visual attention that lies on the true object. M is the true "
        "mask, averaged over each patch (energy pointing game, arXiv 1910.01279).",
    ),
    "lift": Equation(
        r"L^{(l,h)} = E^{(l,h)} \cdot \dfrac{V}{\sum_{i} M_i}",
        "Lift: mask share over what even attention on V patches would give; 1 is no preference.",
    ),
}
_AML = Equation(
    r"\mathcal{L}_{\mathrm{AML}} = \sum_{r \in \{\mathrm{act}, \mathrm{tar}\}} "
    r"\sum_{(l,h) \in \mathcal{H}} \mathrm{BCE}\left( A_r^{(l,h)}, \mathcal{G}' \right)",
    "The attention mask loss (the paper's equation 6): for each role that the expression has and "
    "each supervised pair of a set H, the binary cross-entropy of the role token's visual "
    "attention and the object's true mask at the resolution of the patches.",
)
_INTERVAL = (
    "Expressions of one video share its frames, so the video is the unit: intervals are 95 % "
    "percentile intervals of a bootstrap that draws whole videos with replacement. Each draw ranks "
    "the pairs anew, which gives the interval of a rank and the share of draws in which a pair is "
    "among the best k."
)
_MAX_T = Equation(
    r"p_j = \dfrac{1 + \sum_{b=1}^{B} 1[\max_k |t_k^{(b)}| \geq |t_j|]}{B + 1}",
    "Many pairs are tested at once, so p is corrected by the largest statistic (max-T, Westfall "
    "and Young): in each of B draws the signs of whole videos are flipped, and p is the share of "
    "draws whose largest |t| over all pairs reaches that of pair j.",
)
_PARTIAL = Equation(
    r"\rho_{xy \cdot z} = \dfrac{\rho_{xy} - \rho_{xz} \rho_{yz}}"
    r"{\sqrt{(1 - \rho_{xz}^2)(1 - \rho_{yz}^2)}}",
    "Given mask area: the Spearman correlation of attention x and J&F y with the ranks of the area "
    "z taken out, since a large object both catches more attention and is easier to segment. All "
    "held fixed: the same with every named covariate, of normal scores.",
)
_CHANGE = Equation(
    r"\Delta = \mathcal{Q}_{\mathrm{changed}} - \mathcal{Q}_{\mathrm{whole}}",
    "What a change of heads at the role tokens does to J&F of the same expression; sets of "
    "chosen pairs are compared with random sets of as many heads of the same layers.",
)
_SWEEP = (
    "Arms of a sweep are compared on the same expressions and seeds. The interval of a mean or "
    "difference adds the variance over resampled videos and that over seeds, less what stands in "
    "both, and is Student's with the degrees of freedom of Welch and Satterthwaite. p of the "
    "differences is corrected by Holm over the arms. Pairs are chosen on one split and reported on "
    "another."
)


def methods(results: ReportResults) -> Section:
    """The equations of whatever this report shows."""
    return Section("methods", "Methods", tuple(_blocks(results)))


def _blocks(results: ReportResults) -> Iterator[Block]:
    yield Subheading("Scores")
    yield _SCORES
    if results.captures:
        yield Subheading("Criteria of a layer-head pair")
        yield from _LOOKS.values()
    study = results.study
    supervised = any(part.results.supervised_pairs for part in results.captures)
    if (study and study.sweeps) or supervised:
        yield Subheading("Supervised attention")
        yield _AML
    yield Subheading("Intervals and p-values")
    if results.captures:
        yield Paragraph(_INTERVAL)
        yield _MAX_T
        yield Subheading("Attention against J&F")
        yield _PARTIAL
    if study and study.sweeps:
        yield Paragraph(_SWEEP)
    if any(part.beside.ablations for part in results.captures):
        yield Subheading("Interventions")
        yield _CHANGE


def all_criteria(results: ReportResults) -> list[Section]:
    """What the pairs were ranked by, one row a criterion; no section without captures."""
    used = [n for n in CRITERIA if any(n in p.results.rankings for p in results.captures)]
    rows = tuple((c.kind, c.title, c.equation, c.source) for c in (CRITERIA[name] for name in used))
    table = Table(
        ("family", "criterion", "equation", "source"),
        rows,
        "Every criterion that the pairs are ranked by. A: attention on patches; a: the same, "
        "summing to 1; M: mask. Families are other kinds of evidence and are never averaged. All "
        "definitions: docs/criteria.md.",
        text_columns=4,
        name="criteria",
    )
    return [Section("criteria", "All criteria", (table,), "Criteria")] if rows else []
