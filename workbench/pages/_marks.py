"""What the charts of the pages share: the colours of roles, and numbers under the pointer."""

from collections.abc import Sequence

import altair as alt

from reports.style import ROLE_COLORS, ROLE_TITLES

__all__ = ["numbers", "one_of", "role_color", "stroke_legend", "tips", "whole_steps"]


def role_color(roles: Sequence[str]) -> alt.Color:
    """Colour by ``role``, titles of roles, with a legend above the chart."""
    return alt.Color(
        "role:N",
        title=None,
        scale=alt.Scale(
            domain=[ROLE_TITLES[role] for role in roles], range=[ROLE_COLORS[r] for r in roles]
        ),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )


def stroke_legend(label_limit: int) -> alt.Legend:
    """Names of lines above the chart, each with its stroke."""
    return alt.Legend(
        orient="top",
        labelLimit=label_limit,
        symbolType="stroke",
        symbolSize=300,
        symbolStrokeWidth=2.5,
        symbolOpacity=1,
        columns=2,
    )


def whole_steps(field: str, title: str) -> alt.X:
    """Axis of whole numbers, such as layers, with room at its ends."""
    return alt.X(
        field,
        title=title,
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(nice=False, padding=8),
    )


# Altair looks through all of its schema for what it has to wrap itself, a bare "field:Q" or an
# alt.value, at every click: it takes longer than the rest of a chart. So channels are named.


def one_of(channel: type, test: str, value: object, otherwise: object) -> alt.SchemaBase:
    """A channel of a value, such as ``alt.ColorValue``, that depends on a test of each row."""
    return channel(otherwise, condition={"test": test, "value": value})


def tips(*fields: str) -> list[alt.Tooltip]:
    """Lines of a tooltip for columns as they are."""
    return [alt.Tooltip(field) for field in fields]


def numbers(names: Sequence[str]) -> list[alt.Tooltip]:
    """Lines of a tooltip for columns of numbers."""
    return [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".3f") for name in names]
