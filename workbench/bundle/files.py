"""Files of a bundle: JSON that a page fetches, tables, charts."""

import json
import math
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from reports.csv_files import csv_text
from reviosa.io import write_text

__all__ = ["chart_spec", "write_chart", "write_data", "write_table"]

DIGITS = 6
"""Significant digits of a number; the full ones stay in the run."""


def write_data(path: Path, value: Any) -> None:
    """Write JSON for a page; what is no finite number is null."""
    text = json.dumps(_compact(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    write_text(path, text)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write what a chart draws as CSV, numbers in full."""
    write_text(path, csv_text(frame))


def chart_spec(chart: alt.LayerChart | alt.Chart) -> dict[str, Any]:
    """A chart as Vega-Lite that fills the width it is given."""
    with alt.data_transformers.disable_max_rows():
        spec = chart.to_dict(format="vega-lite")
    return {**spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def write_chart(folder: Path, name: str, chart: alt.LayerChart, data: pd.DataFrame) -> None:
    """Write ``NAME.json`` to draw and ``NAME.csv`` to take away."""
    write_data(folder / f"{name}.json", chart_spec(chart))
    write_table(folder / f"{name}.csv", data)


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _compact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_compact(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
