"""Evidence of what was disclosed: it proves itself, and nothing that was changed proves anything; pages to read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest

from flows.erase import erase
from flows.recall import recall_placements
from infra import corrections, exceptions, subjects
from infra.evidence import files, pages
from infra.proving import ProofRefused
from infra.register import Question, disclosures
from models.errors import RefusedByPolicy, UsageError
from models.tables import Account, Placement

House = Any  # tests/infra/subjects/conftest.py
WHY = "order of the court of this month"


def leaves(thing: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the evidence says something."""
    if isinstance(thing, dict):
        for name, inner in thing.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(thing, list):
        for place, inner in enumerate(thing):
            yield from leaves(inner, (*path, place))
    else:
        yield path


def test_evidence_that_was_changed_anywhere_proves_nothing(house: House, someone: pd.Series) -> None:
    told, exported = files.export(house.desk, Question("harbour", someone["id_number"], WHY))
    text = json.dumps(told).encode()
    checked = files.check(text, exported.key)
    assert (checked.ok, checked.key_expected, checked.sha256) == (True, True, exported.sha256)
    with pytest.raises(ProofRefused, match="and not with"):
        files.check(text, "SHA256:another")
    places = list(leaves(told["evidence"]))
    for place in places[:: max(1, len(places) // 60)]:
        forged = json.loads(text)
        inner = forged["evidence"]
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = f"{inner[place[-1]]}!"
        with pytest.raises(ProofRefused):
            files.check(json.dumps(forged).encode())


def test_evidence_made_anew_to_fit_does_not_fit_the_event(house: House, someone: pd.Series) -> None:
    told, _ = files.export(house.desk, Question("harbour", someone["id_number"], WHY))
    told["evidence"]["disclosures"].pop()
    told["sha256"] = hashlib.sha256(files.canonical(told["evidence"])).hexdigest()
    with pytest.raises(ProofRefused, match="other evidence"):
        files.check(json.dumps(told).encode())
    told["proof"]["event"]["details"]["sha256"] = told["sha256"]
    with pytest.raises(ProofRefused, match="not in the tree"):
        files.check(json.dumps(told).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b'{"format": "consign.disclosures.v1"}', b"\xff", b'{"format": 1}'])
def test_what_is_no_evidence_is_refused(text: bytes) -> None:
    with pytest.raises(ProofRefused):
        files.check(text)


def test_a_number_that_two_persons_share_is_evidence_of_neither(house: House, someone: pd.Series) -> None:
    other = house.raw[house.raw["id_number"] != someone["id_number"]].iloc[0]
    number = subjects.open_request(
        house.desk, "harbour", other["id_number"], "correction", fields=("phone",)
    ).request_id
    assert number is not None
    subjects.verify(house.desk, number, "passport shown at the counter")
    corrections.correct(house.desk, number, "phone", someone["phone"])
    with pytest.raises(RefusedByPolicy, match="2 debtors"):
        files.export(house.desk, Question("harbour", someone["phone"], WHY))


def test_the_day_decides_what_is_known(house: House, someone: pd.Series) -> None:
    (account,) = house.ask(someone["id_number"]).accounts
    placed = house.rows(Placement, "placement_id", "account_id").set_index("account_id").loc[account, "placement_id"]
    house.turn(12)
    recall_placements(str(placed), "performance")
    house.answer("give_back")
    house.turn(20)
    erase()
    house.answer("erase")
    house.turn(25)

    def on(day: int) -> dict[str, Any]:
        rows = house.ask(someone["id_number"], as_of=date(2026, 1, day)).told
        return {
            "kinds": sorted(set(rows["kind"])), "erasure": set(rows["erasure"]),
            "recalled": rows["recalled_on"].notna().any(), "gone_by": set(rows["gone_by"].dt.date),
        }  # fmt: skip

    assert on(4)["kinds"] == []
    first = on(11)
    assert (first["kinds"], first["erasure"], first["recalled"]) == (["placement"], {"held"}, False)
    assert min(first["gone_by"]) > date(2026, 4, 5)
    middle = on(12)
    assert (middle["kinds"], middle["erasure"]) == (["placement", "recall"], {"held"})
    last = on(20)
    assert last["kinds"] == ["erasure_request", "placement", "recall"]
    assert (last["erasure"], last["gone_by"]) == ({"erased"}, {date(2026, 1, 20)})
    assert set(house.ask(someone["id_number"]).told["certified_by"]) == {"data protection officer"}


def test_an_agency_s_rows_are_its_own_and_an_unknown_agency_is_an_error(house: House) -> None:
    both = house.raw.groupby("id_number").filter(lambda part: len(part) > 1)["id_number"].iloc[0]
    told = house.ask(both).told
    agency = str(told["agency"].iloc[0])
    assert set(house.ask(both, agency=agency).told["agency"]) == {agency}
    with pytest.raises(UsageError, match="no agency"):
        house.ask(both, agency="nobody")


def test_a_reason_that_says_nothing_or_too_much_is_refused(house: House, someone: pd.Series) -> None:
    for why in ("", "because", f"about {someone['id_number']}"):
        with pytest.raises(UsageError):
            disclosures(house.desk, Question("harbour", someone["id_number"], why))


def test_who_asks_too_often_is_answered_and_compliance_hears_of_it(house: House, someone: pd.Series) -> None:
    house.desk.settings.register_per_day = 2
    for times in (1, 2, 3):
        assert house.ask(someone["id_number"]).asked_today == times
    with house.desk.database.read() as connection:
        found = exceptions.listed(connection, code="register_excess")
    assert (found["subject"].tolist(), found["owner"].tolist()) == (["actor:sandbox"], ["compliance"])


def test_pages_hold_every_row_no_formula_and_no_markup(house: House, someone: pd.Series) -> None:
    told = house.ask(someone["id_number"]).told.assign(finding='=HYPERLINK("x")', purpose="<script>1</script>")
    table = pd.read_csv(io.StringIO(pages.csv(told)))
    assert len(table) == len(told)
    assert table["finding"].str.startswith("'=").all()
    page = pages.html(told, {"lender": "<b>"})
    assert page.count("<tr>") == len(told) + told["agency"].nunique()
    assert "<script>" not in page
    assert "<b>" not in page


def test_the_evidence_names_no_value_of_the_debtor(house: House, someone: pd.Series) -> None:
    told, _ = files.export(house.desk, Question("harbour", someone["account_ref"], WHY))
    text = json.dumps(told, ensure_ascii=False)
    sealed = ("account_ref", "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name")
    assert not [name for name in sealed if isinstance(someone[name], str) and someone[name] in text]
    assert {one["account_id"] for one in told["evidence"]["known_as"]} <= set(
        house.rows(Account, "account_id")["account_id"]
    )


def test_evidence_is_made_though_a_key_that_named_somebody_was_revoked(house: House, someone: pd.Series) -> None:
    agency = str(house.ask(someone["id_number"]).told["agency"].iloc[0])
    ring = house.desk.keyring
    first = ring.pseudonym_key(agency).generation
    ring.new_pseudonym_key(agency, house.desk.now())
    ring.revoke(agency, first, house.desk.now())
    told, _ = files.export(house.desk, Question("harbour", someone["id_number"], WHY))
    assert [one["account"] for one in told["evidence"]["known_as"]] == [None]
    assert files.check(json.dumps(told).encode()).ok
