"""What the charts of the pages share: the colours of roles, and numbers under the pointer."""

from collections.abc import Sequence

import altair as alt

from reports.style import ROLE_COLORS, ROLE_TITLES

__all__ = ["numbers", "role_color"]


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


def numbers(names: Sequence[str]) -> list[alt.Tooltip]:
    """Lines of a tooltip for columns of numbers."""
    return [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".3f") for name in names]
