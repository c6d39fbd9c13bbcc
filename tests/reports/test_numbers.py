"""Each number of a report is the store's: some are worked out by hand and looked for in it."""

import html
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.fixtures_report import html_of

KINDS = ("protocol", "pair", "layer", "correlation", "n")


def table(run, name):
    """All parts of one table as columns, in the order of the parts. No code of ours reads them."""
    files = sorted(Path(run, name).glob("*.parquet"), key=lambda path: int(path.stem.split("-")[1]))
    parts = [pq.read_table(file).to_pydict() for file in files]
    return {column: np.array([v for part in parts for v in part[column]]) for column in parts[0]}


@pytest.fixture(scope="module")
def words(planted_results):
    """Text of the page as a reader sees it, without what stands in attributes and styles."""
    page = re.sub(r"<style.*?</style>", " ", html_of(planted_results), flags=re.S)
    cells = re.sub(r"</?(?:span|strong)[^>]*>", "", page)
    text = html.unescape(re.sub(r"<[^>]*>", "\n", cells))
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_five_numbers_at_random_are_those_of_the_store(planted_store, planted_results, words):
    run = planted_store.directory
    samples, heads = table(run, "samples"), table(run, "heads")
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"drawn with seed {seed}")
    rng = np.random.default_rng(seed)
    for kind in KINDS:
        told, place = globals()[f"by_hand_{kind}"](rng, samples, heads, planted_results)
        near = row(words, place)
        assert any(re.search(rf"(?<![\d.]){re.escape(told)}(?!\d)", cell) for cell in near), (
            f"seed {seed}, {kind}: {told} does not stand in {near}"
        )


def row(words, place, length=8):
    """The cells behind the last of those in ``place``, which stand in this order on the page."""
    at = -1
    for cell in place:
        at = words.index(cell, at + 1)
    return words[at + 1 : at + 1 + length]


def by_hand_protocol(rng, samples, heads, results):
    """J&F of a protocol: mean over expressions in per cent, a role not named is 0."""
    name, role, acting, words = (
        ("Actor", "actor", True, "interaction expressions, mask of who acts"),
        ("Target", "target", True, "interaction expressions, mask of what is acted on"),
        ("RVOS", "actor", False, "all expressions, mask of the subject"),
    )[rng.integers(3)]
    rows = samples["role"] == role
    if acting:
        rows &= samples["caption_type"] == "unidirectional"
    scores = np.where(samples["emitted"], samples["jf"], 0.0)[rows]
    return rounded(100 * scores.mean(), 1), (name, words)


def by_hand_pair(rng, samples, heads, results):
    """Score of one of the three best pairs: mean over samples of each role, then over roles."""
    place = rng.integers(3)
    scores = {}
    for layer in np.unique(heads["layer"]):
        for head in np.unique(heads["head"]):
            rows = (heads["layer"] == layer) & (heads["head"] == head)
            by_role = [
                np.nanmean(heads["lift"][rows & (heads["role"] == role)].astype(np.float64))
                for role in ("actor", "target")
            ]
            scores[int(layer), int(head)] = np.mean(by_role)
    layer, head = sorted(scores, key=lambda pair: -scores[pair])[place]
    label = f"L{layer:02d}H{head:02d}" + (" (supervised)" if (layer, head) == (2, 1) else "")
    table = ("The 12 pairs with the highest lift over area", "among best 4")
    return rounded(scores[layer, head], 3), (*table, str(place + 1), label)


def by_hand_layer(rng, samples, heads, results):
    """Visual attention of the layer that looks most: it stands in the summary."""
    role = ("actor", "target")[rng.integers(2)]
    layers = np.unique(heads["layer"])
    means = [
        np.nanmean(
            heads["visual_mass"][(heads["layer"] == layer) & (heads["role"] == role)].astype(float)
        )
        for layer in layers
    ]
    layer = int(layers[int(np.argmax(means))])
    said = f"{role} token looks most at the video in layer {layer} ({rounded(max(means), 2)}"
    return said, ("Results",)


def by_hand_correlation(rng, samples, heads, results):
    """Spearman of mask share, mean over all pairs, and J&F: Pearson of mean ranks."""
    role = ("actor", "target")[rng.integers(2)]
    rows = heads["role"] == role
    ids = samples["sample_id"][(samples["role"] == role) & samples["emitted"]]
    share = [np.nanmean(heads["mask_share"][rows & (heads["sample_id"] == i)]) for i in ids]
    jf = [samples["jf"][(samples["role"] == role) & (samples["sample_id"] == i)][0] for i in ids]
    value = np.corrcoef(ranks(np.array(share, dtype=float)), ranks(np.array(jf)))[0, 1]
    place = "mask share, all heads"  # the first row of the actor's table, then of the target's
    return rounded(value, 2), ("Controls", *([place] if role == "actor" else [place, place]))


def by_hand_n(rng, samples, heads, results):
    """Samples of a role."""
    role, title = (("actor", "Actor [SEG_ACT]"), ("target", "Target [SEG_TAR]"))[rng.integers(2)]
    return f"{(samples['role'] == role).sum():,}", (title,)


def ranks(values):
    """1 for the lowest; ties share their mean."""
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def rounded(value, digits):
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
