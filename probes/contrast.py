"""Two captures against each other: scores on the same expressions, and rankings of pairs."""

from probes.comparison import SeedMean, difference
from probes.families import RunAgreement, compare_runs
from probes.report import Contrast
from probes.store import CaptureStore
from reviosa.data.records import ROLES
from reviosa.evaluation import protocol_rows

__all__ = ["contrast"]

CRITERIA_COMPARED = ("visual_mass", "mask_share", "auroc")
"""Where heads look; where they look on the object; and the same free of the object's size."""


def contrast(
    first: CaptureStore, second: CaptureStore, resamples: int = 2000, seed: int = 0
) -> Contrast:
    """Set the second capture beside the first.

    J&F is compared protocol by protocol where both captures asked the same expressions; rankings
    where both models have as many layers and heads. What is not compared is said.
    """
    names = [store.directory.resolve().name for store in (first, second)]
    gaps, notes = _gaps(first, second, resamples, seed)
    agreements: list[RunAgreement] = []
    shapes = [(store.num_layers, store.num_heads) for store in (first, second)]
    if shapes[0] == shapes[1] and all(shapes[0]):
        for criterion in CRITERIA_COMPARED:
            if criterion in first.criteria and criterion in second.criteria:
                one, two = (
                    [store.head_array(criterion, role) for role in ROLES]
                    for store in (first, second)
                )
                agreements.append(compare_runs(one, two, resamples=resamples, seed=seed))
    else:
        sizes = " and ".join(f"{layers} layers of {heads} heads" for layers, heads in shapes)
        notes.append(f"rankings of models with {sizes}")
    told = tuple(f"{names[1]} against {names[0]}: {text}." for text in notes)
    return Contrast(names[0], names[1], tuple(agreements), gaps, told)


def _gaps(
    first: CaptureStore, second: CaptureStore, resamples: int, seed: int
) -> tuple[dict[str, SeedMean], list[str]]:
    data = [(store.run.get("data") or {}).get("identity") for store in (first, second)]
    if data[0] != data[1]:
        return {}, ["J&F, as the runs are over other data"]
    tables = [protocol_rows(store.samples()) for store in (first, second)]
    gaps, notes = {}, []
    for name in tables[0]:
        one, two = (found[name] for found in tables)
        # A role that was not given has no mask: 0, whatever the capture wrote (EVALUATION).
        one, two = (rows.assign(jf=rows.jf.where(rows.emitted, 0.0)) for rows in (one, two))
        if not len(one) or not len(two):
            continue
        if sorted(one.sample_id) != sorted(two.sample_id):
            notes.append(f"J&F of {name}, as the runs are about other expressions")
            continue
        gaps[name] = difference({0: two}, {0: one}, resamples, seed)
    return gaps, notes
