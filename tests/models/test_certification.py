"""When a step of a certification is done, and when it has failed: truth tables over plain values."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from models.certification import (
    DONE,
    FAULTS,
    LEVELS,
    LEVELS_ABOUT,
    OPEN,
    PLANTS,
    STEPS,
    WAITING,
    Evidence,
    Verdict,
    covers,
    judge,
    level_done,
    same_fingerprint,
    steps_of,
)
from models.kinds import INBOUND, REFUSAL_CODES

TODAY = date(2026, 3, 2)


def placements(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "plant": "test", "bad": False, "state": "placed", "delivered": True, "balance_minor": 100, "booked_minor": None,
        "end_reason": None, "recall_due_on": None, "confirmed_on": None, "erasure": "",
    }  # fmt: skip
    return pd.DataFrame([base | row for row in rows])


def files(*rows: tuple[str, str, str | None, int, int, str]) -> pd.DataFrame:
    columns = ["kind", "state", "refusal_code", "rows", "rows_refused", "codes"]
    return pd.DataFrame(rows, columns=columns).assign(file_id=range(1, len(rows) + 1))


def refused(*said: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(said, columns=["plant", "code"])


def verdict(step: str, **seen: Any) -> Verdict:
    return judge("money", Evidence(TODAY, **seen))[step]


@pytest.mark.parametrize(
    ("booked", "expected"),
    [([None, None], OPEN), ([100, None], OPEN), ([100, 100], DONE), ([100, 99], Verdict("failed", "balance_differs"))],
)
def test_a_test_placement_is_done_when_every_balance_is_booked(booked: list[int | None], expected: Verdict) -> None:
    seen = placements(*({"booked_minor": one} for one in booked))
    assert verdict("placement_acknowledged", placements=seen) == expected


def test_a_declined_test_account_fails() -> None:
    seen = placements({"end_reason": "declined"}, {"booked_minor": 100})
    assert verdict("placement_acknowledged", placements=seen) == Verdict("failed", "declined")


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_fault_is_answered_by_its_own_code(plant: str) -> None:
    about = PLANTS[plant]
    good = [{"plant": plant, "booked_minor": 100}] if about.books else []
    seen = placements({"plant": plant, "bad": True}, *good)
    right = refused(*((plant, min(codes)) for codes in about.answers))
    assert verdict(about.step, placements=seen) == OPEN
    assert verdict(about.step, placements=seen, refusals=right) == DONE
    assert verdict(about.step, placements=seen, refusals=refused((plant, "other"))) == Verdict("failed", "other_code")
    assert verdict(about.step, placements=seen.assign(delivered=False)) == WAITING
    booked = Verdict("failed", "booked")
    assert verdict(about.step, placements=seen.assign(booked_minor=100), refusals=right) == booked


def test_the_good_lines_of_a_spoilt_file_must_be_booked_too() -> None:
    seen = placements({"plant": "gap"})
    assert verdict("fault_gap", placements=seen, refusals=refused(("gap", "sequence_gap"))) == OPEN


def test_a_mistake_counts_when_it_was_mended_afterwards() -> None:
    wrong = ("acknowledgement", "accepted", None, 3, 1, "not_date")
    right = ("acknowledgement", "accepted", None, 1, 0, "")
    other = ("activity", "accepted", None, 1, 0, "")
    assert verdict("mistake_line", files=files(wrong, other)) == OPEN
    assert verdict("mistake_line", files=files(right, wrong)) == OPEN
    assert verdict("mistake_line", files=files(wrong, right)) == DONE
    whole = ("acknowledgement", "refused", "control_sum", 1, 1, "")
    assert verdict("mistake_control_sum", files=files(whole)) == OPEN
    assert verdict("mistake_control_sum", files=files(whole, right)) == DONE
    assert verdict("mistake_repeat", files=files(("acknowledgement", "refused", "replayed", 1, 1, ""))) == DONE


def test_a_kind_counts_when_one_good_line_came() -> None:
    assert verdict("activity", files=files(("activity", "accepted", None, 2, 2, "not_datetime"))) == OPEN
    assert verdict("activity", files=files(("activity", "accepted", None, 2, 1, "not_datetime"))) == DONE


@pytest.mark.parametrize(
    ("due", "confirmed", "expected"),
    [
        (None, None, WAITING),
        (TODAY, None, OPEN),
        (date(2026, 3, 1), None, Verdict("failed", "late")),
        (TODAY, TODAY, DONE),
        (TODAY, date(2026, 3, 3), Verdict("failed", "late")),
    ],
)
def test_a_recall_is_confirmed_by_the_day_it_was_due(
    due: date | None, confirmed: date | None, expected: Verdict
) -> None:
    seen = placements({"recall_due_on": due, "confirmed_on": confirmed})
    assert verdict("recall_confirmed", placements=seen) == expected


@pytest.mark.parametrize(
    ("erasure", "expected"),
    [("", WAITING), ("asked", OPEN), ("verified", DONE), ("unsatisfied", Verdict("failed", "certificate_unsatisfied"))],
)
def test_an_erasure_is_certified_or_wanting(erasure: str, expected: Verdict) -> None:
    assert verdict("erasure_certified", placements=placements({"erasure": erasure})) == expected


def test_what_was_said_by_telephone_stands_beside_what_the_files_say() -> None:
    assert verdict("keys_heard") == OPEN
    stopped = Verdict("failed", "other_key")
    assert verdict("keys_heard", known={"keys_heard": stopped}) == stopped


def test_each_level_holds_the_one_before_it() -> None:
    assert [len(steps_of(level)) for level in LEVELS] == sorted(len(steps_of(level)) for level in LEVELS)
    assert set(steps_of("exchange")) < set(steps_of("work")) < set(steps_of("money")) == set(STEPS.values())
    assert covers("money", "work")
    assert covers("work", "work")
    assert not covers("exchange", "work")
    assert not level_done("exchange", judge("exchange", Evidence(TODAY)))


def test_every_answer_is_a_code_that_agencies_can_send_and_every_word_is_said_in_both_languages() -> None:
    assert {code for plant in PLANTS.values() for codes in plant.answers for code in codes} <= set(REFUSAL_CODES)
    texts = [(step.about, step.about_zh) for step in STEPS.values()] + [
        (step.fix, step.fix_zh) for step in STEPS.values()
    ]
    for english, chinese in [*texts, *FAULTS.values(), *LEVELS_ABOUT.values()]:
        assert english.isascii()
        assert any("一" <= character <= "鿿" for character in chinese), chinese


def test_every_kind_that_agencies_send_is_asked_for_but_what_others_hold() -> None:
    asked = set(STEPS)
    through_others = {"acknowledgement", "refusal", "fingerprint", "return", "erasure_certificate"}
    seldom = {"correction_confirmation"}  # a debtor's request: the guide tells it, and its receipt what is wrong
    assert asked >= INBOUND - through_others - seldom


def test_a_fingerprint_read_out_may_have_spaces_and_lower_case() -> None:
    assert same_fingerprint("sha".upper() + "256:Ab c", "SHA256:Abc")
    assert not same_fingerprint("SHA256:abc", "SHA256:Abc")
    assert same_fingerprint("0af3 bb", "0AF3BB")
    assert not same_fingerprint("", "0AF3BB")
