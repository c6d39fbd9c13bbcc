"""``reviosa rank``, ``select`` and ``correlate``: statistics on a capture run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.options import Json, Resamples, Role, Run, Seed

if TYPE_CHECKING:
    from probes.correlation import Association, Correlation
    from probes.families import RunAgreement
    from probes.ranking import Ranking
    from probes.store import CaptureStore

__all__ = ["correlate", "open_store", "print_ranking", "rank", "select"]

CriterionOption = Annotated[
    str,
    typer.Option(
        "--criterion",
        metavar="NAME",
        help="A head criterion such as visual_mass, mask_share or auroc; all: docs/criteria.md.",
    ),
]


def rank(
    run: Run,
    criterion: CriterionOption = "visual_mass",
    role: Role = "both",
    top: Annotated[int, typer.Option("--top", metavar="N", help="Rows of the table.")] = 10,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="RUN",
            help="Another capture, of another seed, checkpoint or data: how far both agree.",
        ),
    ] = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Rank layer-head pairs, with intervals from a bootstrap over videos."""
    from workbench.console import note, print_json

    store = open_store(run)
    ranking = _rank(store, criterion, role, resamples, seed)
    found = None
    if against is not None:
        found = _compared(store, open_store(against), criterion, role, resamples, seed)
    if json:
        compared = {} if found is None else {"against": found.to_json()}
        print_json({**ranking.to_json(), **compared})
        return
    print_ranking(ranking, top)
    if found is not None:
        _print_agreement(found, against)
    if ranking.reason:
        note(f"no intervals: {ranking.reason}")


def select(
    run: Run,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="top-layer, top-layers, bottom-layers, layer, top-pairs, bottom-pairs, random, "
            "matched-random or published.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Heads file to write.")],
    k: Annotated[
        int, typer.Option("--k", metavar="K", help="Number of pairs; of each layer with -layers.")
    ] = 4,
    layers: Annotated[
        int,
        typer.Option("--layers", metavar="N", help="Layers, for top-layers and bottom-layers."),
    ] = 3,
    layer: Annotated[
        int | None, typer.Option("--layer", metavar="L", help="The layer, from 0, for layer.")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", metavar="FILE", help="Heads file that matched-random is a control of."
        ),
    ] = None,
    criterion: CriterionOption = "visual_mass",
    role: Role = "both",
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="1b|4b", help="Whose pairs, for the strategy published."),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose layer-head pairs by a ranking and write them as a heads file."""
    from probes.selection import select as choose
    from reviosa.heads import HeadSelection
    from workbench.console import print_json

    store = open_store(run)
    # Which pairs come first does not depend on the intervals, so none are drawn. The published
    # pairs need no scores at all, so a run without any will do for them.
    rank_run = _scores if strategy == "published" else _rank
    ranking = rank_run(store, criterion, role, resamples=1, seed=seed)
    selection = choose(
        ranking,
        strategy,
        k,
        seed=seed,
        run=run.resolve().name,
        data=(store.run.get("data") or {}).get("identity"),
        preset=preset,
        layers=layers,
        like=HeadSelection.load(like) if like is not None else None,
        layer=layer,
    )
    selection.save(out)
    if json:
        print_json(selection.to_json())
    else:
        pairs = "  ".join(f"({layer}, {head})" for layer, head in selection.pairs)
        print(f"{strategy}, (layer, head): {pairs}")
        print(f"written to {out}")


def correlate(
    run: Run,
    criterion: CriterionOption = "mask_share",
    role: Role = "both",
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Relate attention on the object to J&F, with intervals and other influences held fixed."""
    from probes.correlation import correlate as relate
    from probes.ranking import role_names
    from reviosa.errors import DataError
    from workbench.console import print_json

    store = open_store(run)
    names = role_names(role, store.roles)
    found = {name: relate(store, name, resamples, seed, criterion) for name in names}
    if not any(correlation.n for correlation in found.values()):
        raise DataError(
            f"{store.directory}: got no sample whose {' or '.join(names)} was named, expected one; "
            "capture data with such expressions or choose another role"
        )
    if json:
        print_json({name: correlation.to_json() for name, correlation in found.items()})
        return
    for correlation in found.values():
        _print_correlation(correlation)


def open_store(run: Path) -> "CaptureStore":
    """Open a capture run; say on stderr what is missing of it."""
    from probes.store import CaptureStore
    from workbench.console import note

    store = CaptureStore(run)
    for problem in store.problems:
        note(f"left out, unreadable: {problem}")
    if store.run.get("status") != "done":
        note(f"the capture is not complete (status {store.run.get('status')}); using what is there")
    return store


def _rank(store: "CaptureStore", criterion: str, role: str, resamples: int, seed: int) -> "Ranking":
    from reviosa.errors import DataError

    ranking = _scores(store, criterion, role, resamples, seed)
    if ranking.n_samples == 0:
        raise DataError(
            f"{store.directory}: got no sample with a {criterion} of role {ranking.role}, expected "
            "at least one; capture data with such expressions or choose another role"
        )
    return ranking


def _compared(
    store: "CaptureStore",
    other: "CaptureStore",
    criterion: str,
    role: str,
    resamples: int,
    seed: int,
) -> "RunAgreement":
    from probes.families import compare_runs
    from probes.ranking import role_names

    tables = [
        [x.head_array(criterion, name) for name in role_names(role, store.roles)]
        for x in (store, other)
    ]
    return compare_runs(tables[0], tables[1], resamples=resamples, seed=seed)


def _print_agreement(found: "RunAgreement", against: Path | None) -> None:
    from reports.style import number, with_interval

    spearman, best = found.spearman, found.best
    print(
        f"against {against}: rank correlation over {spearman.n} pairs "
        f"{with_interval(spearman.value, spearman.ci)}; of the best {found.k} of either, share in "
        f"both {number(best.jaccard, 2)} (beyond chance {number(best.kuncheva, 2)})"
    )


def _scores(
    store: "CaptureStore", criterion: str, role: str, resamples: int, seed: int
) -> "Ranking":
    from probes.ranking import rank as rank_run

    return rank_run(store, criterion, role, resamples, seed)


def print_ranking(ranking: "Ranking", top: int) -> None:
    """Print the first ``top`` pairs of a ranking as a table."""
    from probes.criteria import CRITERIA
    from reports.style import MISSING, count, interval, number, p_value, with_interval
    from workbench.console import print_table

    rows = [
        [
            MISSING if pair.rank is None else f"{pair.rank:g}",
            str(pair.layer),
            str(pair.head),
            number(pair.score),
            interval(pair.ci),
            interval(pair.rank_ci, 0),
            number(pair.p_top_k, 2),
            p_value(pair.p),
        ]
        for pair in ranking.pairs[:top]
    ]
    header = [
        "rank", "layer", "head", "score", "95% CI", "rank CI", f"P(top {ranking.top_k})", "p",
    ]  # fmt: skip
    criterion = CRITERIA[ranking.criterion]
    print_table(f"{criterion.title}, role {ranking.role} ({criterion.unit})", header, rows)
    print(
        f"{count(ranking.n_samples, 'sample')} of {count(ranking.n_videos, 'video')}, mean of all "
        f"pairs {number(ranking.baseline.value)}; {ranking.n_failed:,} left out without role token"
    )
    tested = "difference from the mean pair"
    if ranking.kind == "outcome":
        tested = "against no correlation"
    order = "lowest" if ranking.low_first else "highest"
    print(
        f"{criterion.equation} ({criterion.source}); {order} first. "
        f"p: {tested}, corrected for {len(ranking.pairs)} pairs (max-T)"
    )
    if ranking.split_half is not None and ranking.split_half.held_out.held_out is not None:
        held = ranking.split_half.held_out
        print(
            f"the best {ranking.top_k} by half of the videos score {number(held.chosen)} there and "
            f"{number(held.held_out)} on the other half, where heads of the same layers score "
            f"{number(held.same_layers)}; better by {with_interval(held.gain, held.gain_range)} "
            "(95 % of the splits)"
        )


def _print_correlation(correlation: "Correlation") -> None:
    from probes.criteria import CRITERIA
    from reports.style import count, number, p_value, with_interval
    from reports.tables import STRATUM_WORDS, detectable_words, held_fixed_words
    from workbench.console import print_table

    def row(name: str, found: "Association") -> list[str]:
        plain, area, all_ = (
            with_interval(x.value, x.ci, 2) for x in (found.spearman, found.partial, found.adjusted)
        )
        ps = p_value(found.p), p_value(found.adjusted_p)
        return [name, plain, ps[0], area, all_, ps[1], number(found.pearson, 2)]

    rows: list[list[Any]] = [row("mean of all heads", correlation.overall)]
    rows += [row(f"layer {item.layer}", item) for item in correlation.layers]
    rows += [row(f"control: {name}", item) for name, item in correlation.controls.items()]
    rows += [
        [f"{STRATUM_WORDS[x.variable]}: {x.level}",
         with_interval(x.spearman.value, x.spearman.ci, 2), *[""] * 5]
        for x in correlation.strata
    ]  # fmt: skip
    title = f"{CRITERIA[correlation.metric].title} against J&F, {correlation.role}"
    columns = ["", "Spearman", "p", "given mask area", "all held fixed", "p", "Pearson"]
    print_table(title, columns, rows)
    print(held_fixed_words(correlation))
    print(f"{detectable_words(correlation)} p: corrected for the number of layers (max-T)")
    print(
        f"{count(correlation.n, 'sample')} of {count(correlation.n_videos, 'video')}; "
        f"{correlation.n_excluded:,} left out without role token"
    )
