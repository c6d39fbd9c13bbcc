"""One criterion by layer: the mean over a layer's heads, and of one run less another."""

import numpy as np

from probes.bootstrap import Estimate, defined_mean, estimate_means
from probes.store import HeadTable
from reviosa.errors import ConfigError

__all__ = ["layer_differences", "layer_means"]


def layer_means(table: HeadTable, resamples: int = 2000, seed: int = 0) -> tuple[Estimate, ...]:
    """Mean over heads and samples of each layer, with an interval over videos.

    A sample's value is the mean of the heads that have one; a layer without any is None with the
    reason. Empty without a layer.
    """
    if not table.values.shape[1]:
        return ()
    return estimate_means(defined_mean(table.values, axis=2), table.video_ids, resamples, seed)


def layer_differences(
    first: HeadTable, second: HeadTable, resamples: int = 2000, seed: int = 0
) -> tuple[Estimate, ...]:
    """``first`` less ``second`` of each layer, sample by sample, over the samples that both have.

    Pairing takes out what differs between videos; intervals are over those videos. A sample in
    which either has no value is left out of that layer.

    Raises:
        ConfigError: another number of layers, another criterion or role, or no sample in common.
    """
    if (first.metric, first.role) != (second.metric, second.role):
        raise ConfigError(
            f"got {first.metric} of the {first.role} and {second.metric} of the {second.role}, "
            "expected the same criterion and role of two runs"
        )
    if first.values.shape[1] != second.values.shape[1]:
        raise ConfigError(
            f"got {first.values.shape[1]} and {second.values.shape[1]} layers, expected as many in "
            "both runs; compare their curves by relative depth"
        )
    place = {name: index for index, name in enumerate(second.sample_ids)}
    rows = [(i, place[name]) for i, name in enumerate(first.sample_ids) if name in place]
    if not rows:
        raise ConfigError(
            "the two runs have no sample in common; capture both on the same data to compare them "
            "sample by sample"
        )
    mine, other = np.array(rows).T
    change = defined_mean(first.values[mine], axis=2) - defined_mean(second.values[other], axis=2)
    return estimate_means(change, np.asarray(first.video_ids)[mine], resamples, seed)
