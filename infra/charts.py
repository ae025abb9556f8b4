"""Which chart of accounts is in force, by the setting `chart`: a shipped one, or one's own in home/charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.ownfiles import Shelf
from infra.wiring import desk
from models import chart as charts

if TYPE_CHECKING:
    from models.chart import Chart

SHELF: Final = Shelf("charts", "chart", charts.shipped, charts.load, charts.Chart.parse)


def find(name: str) -> Chart:
    """The chart of that name. Raises UsageError where there is none, ChartInvalid where it cannot be used."""
    return SHELF.find(name)


def current() -> Chart:
    """The chart that new entries are posted under."""
    return find(desk().settings.chart)
