"""A fault in a file of rules is found at its line, whatever the file looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConsignError
from models.instalments.limits import Limits
from models.packaged import text
from models.stated import line_of
from models.strategy.rules import Strategy

STRATEGY = text("models.strategy", "shipped", "cn-soft-first")
LIMITS = text("models.instalments", "shipped", "cn-default")


def fault(kind: type[Strategy | Limits], broken: str) -> str:
    with pytest.raises(ConsignError) as raised:
        kind.parse(broken)
    return str(raised.value)


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("soft_first = true", "soft_first = maybe"),
        ('version = "1"', 'version = "1 1"'),
        ('to = "field"', 'to = "visit"'),
        ('needs = ["legal"]', "needs = 7"),
        ("term_days = 360", 'term_days = "long"'),
        ("no_activity_days = 30", "no_activity_days = 0"),
        ("round_from = 4", "rounds = 4"),
    ],
)
def test_a_strategy_s_fault_is_at_the_line_that_was_changed(good: str, wrong: str) -> None:
    broken = STRATEGY.replace(good, wrong, 1)
    line = line_of(broken, fault(Strategy, broken))
    assert line is not None
    assert broken.splitlines()[line - 1].startswith(wrong)


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("grace_days = 5", 'grace_days = "five"'),
        ("window_days = 180", "window_days = -1"),
        ("medium_dpd_to = 360", "medium_dpd_to = 1.5"),
        ('willingness = ["low"]', 'willingness = ["none"]'),
        ("within = { max_months = 24", 'within = { max_months = "24"'),
    ],
)
def test_a_fault_of_limits_is_at_the_line_that_was_changed(good: str, wrong: str) -> None:
    broken = LIMITS.replace(good, wrong, 1)
    line = line_of(broken, fault(Limits, broken))
    assert line is not None
    assert broken.splitlines()[line - 1].startswith(wrong)


def test_a_rule_that_is_never_reached_is_found_by_its_name() -> None:
    broken = (
        STRATEGY.replace("dpd_from = 31\nround_to = 3", "dpd_from = 1")
        + '\n[[rule]]\nid = "late"\nto = "phone"\ndpd_from = 40\n'
    )
    line = line_of(broken, fault(Strategy, broken))
    assert line is not None
    assert broken.splitlines()[line - 1 :][:2] == ["[[rule]]", 'id = "late"']


@given(st.text(), st.text())
def test_whatever_is_said_of_whatever_file_the_line_is_one_of_it_or_none(file: str, message: str) -> None:
    line = line_of(file, message)
    assert line is None or 1 <= line <= max(1, len(file.splitlines())) or "at line" in message
