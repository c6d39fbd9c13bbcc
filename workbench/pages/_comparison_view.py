"""Two runs on the page of runs: scores side by side, and what differs between them."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from reports.style import (
    MISSING,
    PROTOCOL_TITLES,
    number,
    p_value,
    signed,
    signed_interval,
    with_interval,
)
from workbench.pages._data import RunEntry
from workbench.pages._run_charts import comparison_chart, comparison_frame
from workbench.pages._runs import Paired, paired_scores, settings_differences
from workbench.pages._shell import literal
from workbench.pages._view import csv_button, draw

__all__ = ["compared", "pairs_table"]


def compared(first: RunEntry, second: RunEntry) -> None:
    """Draw the comparison of two runs."""
    st.subheader(f"{literal(first.name)} against {literal(second.name)}")
    pairs = paired_scores(first, second)
    if pairs:
        _paired(pairs, (first.name, second.name))
    else:
        st.info("There are no scores to compare: captures and evaluations have them.")
    rows = settings_differences(first.header, second.header)
    st.markdown("**What differs in settings, seed, model, data, code and versions**")
    if not rows:
        st.caption("Nothing differs.")
        return
    table = pd.DataFrame(
        [(name, *(MISSING if x is None else x for x in sides)) for name, *sides in rows],
        columns=["what", first.name, second.name],
    )
    pairs_table(table, "What differs between the two runs")
    csv_button(table, "differences.csv", "differences")


def _paired(pairs: Sequence[Paired], names: tuple[str, str]) -> None:
    table = pd.DataFrame(
        [
            {
                "protocol": PROTOCOL_TITLES[pair.protocol],
                "first [interval]": with_interval(pair.first.jf, pair.first.jf_ci, 1),
                "second [interval]": with_interval(pair.second.jf, pair.second.jf_ci, 1),
                "first less second": _difference(pair),
                "p": p_value(pair.difference.p if pair.difference else None),
                "paired n": str(pair.difference.n) if pair.difference else MISSING,
            }
            for pair in pairs
        ]
    )
    st.dataframe(table, hide_index=True, alt="Scores of both runs and their paired difference")
    reasons = sorted({pair.reason for pair in pairs if pair.reason})
    if reasons:
        st.caption(f"No paired difference: {literal('; '.join(reasons))}.")
    else:
        st.caption(
            "J\\&F in per cent. Differences in points, expression by expression on those that both "
            "runs have; 95 % interval and p (two-sided, that it is 0) from a cluster bootstrap "
            "over videos. They hold the chance of the videos alone, not of a seed."
        )
    frame = comparison_frame(pairs, names)
    draw(
        comparison_chart(frame, names),
        "compared_runs",
        frame,
        "J\\&F of each run by protocol, over all its expressions. Lines: 95 % intervals of a "
        "bootstrap over videos.",
        "; ".join(
            f"{PROTOCOL_TITLES[pair.protocol]}: {number(pair.first.jf, 1)} against "
            f"{number(pair.second.jf, 1)}"
            for pair in pairs
        ),
    )


def _difference(pair: Paired) -> str:
    if pair.difference is None:
        if pair.first.jf is None or pair.second.jf is None:
            return MISSING
        return f"{signed(pair.first.jf - pair.second.jf, 1)} (unpaired)"
    change = pair.difference
    return f"{signed(change.value, 1)} {signed_interval(change.ci, 1)}".strip()


def pairs_table(table: pd.DataFrame, words: str) -> None:
    """Draw a table of settings as it is; ``words`` say what it is to those who do not see it."""
    st.dataframe(table, hide_index=True, height=420 if len(table) > 11 else "content", alt=words)
