"""What may belong to an open item, in the order in which it is offered (R5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.reconcile.candidates import ALIKE, Ranked, Standing, ranked

DAY = 20_000
NAMES = ("", "PAY-0001", "pay-0001", "PAY-0010", "PAY-00O1", "HB/77/20261102")


@st.composite
def standing(draw: st.DrawFn) -> list[Standing]:
    """Few amounts, days and names: so that many are equally near."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(98, 102), st.integers(DAY - 2, DAY + 2), st.sampled_from(NAMES), st.sampled_from(NAMES)
            ),
            max_size=30,
        )
    )
    return [
        Standing(number, amount, day, tuple(filter(None, names)), f"content-{number}")
        for number, (amount, day, *names) in enumerate(rows)
    ]


def likeness(one: Standing) -> int:
    """By the very function, asked for this one alone."""
    return ranked(0, 0, ("PAY-0001",), [one], 1)[0].likeness


def place(one: Standing) -> tuple[object, ...]:
    """The whole order, written down once more without anything left out."""
    named = "PAY-0001" in {text.upper() for text in one.references}
    counted = likeness(one) if likeness(one) >= ALIKE else 0
    return not named, abs(one.amount_minor - 100), -counted, abs(one.day - DAY), one.content


@given(standing(), st.integers(1, 8))
def test_the_best_are_those_that_the_whole_order_puts_first(others: list[Standing], limit: int) -> None:
    found = ranked(100, DAY, ("PAY-0001",), others, limit)
    assert [row.one for row in found] == sorted(others, key=place)[:limit]
    assert found == [
        Ranked(row.one, row.one.amount_minor - 100, row.one.day - DAY, likeness(row.one), not place(row.one)[0])
        for row in found
    ]


def test_without_a_reference_the_amount_decides_and_nothing_is_alike() -> None:
    others = [Standing(1, 90, DAY, ("A",), "a"), Standing(2, 101, DAY + 9, (), "b")]
    found = ranked(100, DAY, (), others, 5)
    assert [(row.one.id, row.off_minor, row.off_days, row.likeness) for row in found] == [(2, 1, 9, 0), (1, -10, 0, 0)]
    assert ranked(100, DAY, (), [], 5) == []
