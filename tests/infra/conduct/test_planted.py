"""What the sandbox plants is found, kind by kind and in its number; what keeps the rules by a hair is not."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from infra import conduct
from infra.sandbox.misconduct import PLANTS, Row, reported, within_the_rules

RULES = {
    "night": ("CBA2026-hours", "GBT45251-hours"),
    "connected": ("GBT45251-calls",),
    "dials": ("CBA2026-dials",),
    "third": ("CBA2026-third",),
    "channel": ("PIPL-21-channel",),
}
DAY = date(2026, 3, 3)


def as_rows(placement: int, rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(placement, f"{at:%Y-%m-%d %H:%M}", outcome, channel, point) for at, channel, point, outcome in rows]


@pytest.mark.parametrize("kind", sorted(PLANTS))
def test_each_kind_is_found_in_its_number_and_breaks_no_other_rule(books: Any, kind: str) -> None:
    happens, count = PLANTS[kind]
    placements = books.place(4)
    books.report(
        *(row for number, one in enumerate(placements) for row in as_rows(one, happens(DAY + timedelta(days=number))))
    )
    conduct.audit_conduct(books.desk)
    assert books.breaches() == dict.fromkeys(RULES[kind], 4 * count)


def test_a_month_of_two_agencies_one_careful_and_one_not(books: Any) -> None:
    draw = np.random.default_rng(3)
    careful, rogue = books.place(60, "lantern"), books.place(60)
    wanted: Counter[str] = Counter()
    for agency, placements in (("lantern", careful), ("quayside", rogue)):
        rows: list[tuple[Any, ...]] = []
        for number, one in enumerate(placements):
            on = DAY + timedelta(days=int(draw.integers(0, 7)))
            kind = sorted(PLANTS)[number % len(PLANTS)]
            if agency == "quayside" and number < 15:
                happens, count = PLANTS[kind]
                rows += as_rows(one, happens(on))
                wanted.update(dict.fromkeys(RULES[kind], count))
            else:
                rows += as_rows(one, within_the_rules(draw, on))
        draw.shuffle(rows)
        for part in (rows[::2], rows[1::2]):  # in two files, in no order
            books.report(*part, agency=agency)
            conduct.audit_conduct(books.desk)
    assert books.breaches() == dict(wanted)


def test_what_is_reported_is_an_activity_file_in_order_of_time() -> None:
    frame = reported({"b": PLANTS["night"][0](DAY), "a": PLANTS["dials"][0](DAY)})
    assert list(frame.columns) == ["account", "at", "channel", "contact_point_ref", "outcome", "collector_ref"]
    assert frame["at"].is_monotonic_increasing
    assert frame["at"].str.endswith("+08:00").all()
