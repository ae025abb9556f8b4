"""Requests of debtors from the letter to the answer: what each kind does, to whom, and what stands against its end."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from flows.intake import intake
from flows.recall import recall_placements
from flows.subjects import attend
from infra import corrections, exceptions, roles, subjects, watching
from infra.evidence import files
from infra.store import bulk, conduct
from keys.vault import open_cells
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.tables import (
    Account,
    AuditEvent,
    Correction,
    Debtor,
    Erasure,
    GateCheck,
    Hold,
    Identity,
    Placement,
    PlanLine,
    Recall,
    SubjectRequest,
    Transmission,
)

House = Any  # tests/infra/subjects/conftest.py
PROOF = "passport shown at the counter"


def number_of(made: subjects.Opened) -> int:
    """The number of a request that was opened."""
    assert made.request_id is not None
    return made.request_id


def opened(house: House, who: pd.Series, kind: str, **more: Any) -> int:
    """A request of this person that was verified; its number."""
    number = number_of(subjects.open_request(house.desk, "harbour", who["id_number"], kind, **more))
    subjects.verify(house.desk, number, PROOF)
    return number


def state(house: House, request_id: int) -> str:
    rows = house.rows(SubjectRequest, "request_id", "state").set_index("request_id")
    return str(rows.loc[request_id, "state"])


def placements(house: House, who: pd.Series) -> pd.DataFrame:
    """This person's placements."""
    accounts = house.ask(who["id_number"]).accounts
    rows: pd.DataFrame = house.rows(Placement, "placement_id", "account_id", "agency", "state")
    return rows[rows["account_id"].isin(accounts)]


def cell(house: House, account_id: int, column: str) -> str | None:
    """What the vault says."""
    table = bulk.table_of(Identity)
    with house.desk.database.read() as connection:
        row = connection.execute(select(table).where(table.c.account_id == account_id)).one()
    key = house.desk.keyring.data_key(row.data_key_id)
    told = open_cells(key, column, np.array([account_id], dtype=np.int64), [getattr(row, column)])[0]
    return None if pd.isna(told) else str(told)


# -- opening -----------------------------------------------------------------------------------------------------------


def test_the_same_request_is_one_while_it_lasts(house: House, someone: pd.Series) -> None:
    first = subjects.open_request(house.desk, "harbour", someone["id_number"], "access")
    again = subjects.open_request(house.desk, "harbour", someone["phone"], "access")
    assert (again.request_id, again.known_before) == (first.request_id, True)
    subjects.refuse(house.desk, number_of(first), "identity_not_proved", "no passport came")
    later = subjects.open_request(house.desk, "harbour", someone["id_number"], "access")
    assert later.request_id != first.request_id


def test_only_compliance_verifies_and_answers(house: House, someone: pd.Series) -> None:
    roles.first_administrator(house.desk)
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "correction", fields=("phone",))
    for act in (
        lambda: subjects.verify(house.desk, number_of(made), PROOF),
        lambda: corrections.correct(house.desk, number_of(made), "phone", "13912345678"),
        lambda: subjects.answer(house.desk, number_of(made)),
        lambda: subjects.refuse(house.desk, number_of(made), "accurate", "it is right"),
    ):
        with pytest.raises(roles.RoleMissing):
            act()
    assert state(house, number_of(made)) == "received"


def test_a_dry_run_opens_nothing(house: House, someone: pd.Series) -> None:
    told = subjects.open_request(house.desk, "harbour", someone["id_number"], "restriction", dry_run=True)
    assert (told.request_id, told.accounts, told.agencies) == (None, 1, 1)
    assert house.rows(SubjectRequest, "request_id").empty
    assert house.rows(Hold, "hold_id").empty


def test_the_clock_is_the_lender_s_packs_and_the_soonest_counts(house: House, someone: pd.Series) -> None:
    for packs, within, due in (
        ([], "15 business days", date(2026, 1, 26)),  # CN's: timely, the house's number
        (["eu"], "1 month", date(2026, 2, 5)),
        (["us"], "45 days", date(2026, 2, 19)),
        (["eu", "us"], "1 month", date(2026, 2, 5)),
    ):
        with house.desk.database.write() as connection:
            conduct.use_packs(connection, "harbour", packs)
        told = subjects.open_request(house.desk, "harbour", someone["id_number"], "access", dry_run=True)
        assert (told.within, told.due_on) == (within, due)


def test_what_no_request_can_be_is_refused(house: House, someone: pd.Series) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("deletion", {}, "no kind"),
        ("restriction", {"ground": "mood"}, "no ground"),
        ("correction", {}, "names what is wrong"),
        ("correction", {"fields": ("balance",)}, "names what is wrong"),
        ("access", {"fields": ("phone",)}, "names no fields"),
        ("access", {"received_on": date(2026, 2, 1)}, "has not come"),
        ("access", {"ref": "ID 110105194912310021"}, "phone or ID number"),
    ]
    for kind, more, match in wrong:
        with pytest.raises(UsageError, match=match):
            subjects.open_request(house.desk, "harbour", someone["id_number"], kind, **more)
    assert house.rows(SubjectRequest, "request_id").empty


def test_nobody_is_told_apart_from_somebody_by_an_echo(house: House) -> None:
    with pytest.raises(UsageError) as it:
        subjects.open_request(house.desk, "harbour", "13700137000", "access")
    assert "13700137000" not in f"{it.value} {it.value.fix}"


def test_every_step_is_on_record_and_no_value_is(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("phone",), ref="letter 17")
    corrections.correct(house.desk, number, "phone", "13912345678")
    attend()
    house.answer("confirm")
    attend()
    subjects.answer(house.desk, number)
    events = house.rows(AuditEvent, "seq", "action", "subject", "details").sort_values("seq")
    mine = events[events["subject"] == f"subject_request:{number}"]
    assert mine["action"].str.removeprefix("subject_request.").tolist() == [
        "opened", "verified", "corrected", "in_progress", "answered",
    ]  # fmt: skip
    whole = events.astype(str).to_csv()
    assert not any(text in whole for text in ("13912345678", someone["phone"], someone["id_number"], someone["name"]))


# -- restriction -------------------------------------------------------------------------------------------------------


def test_a_restriction_holds_at_once_recalls_when_verified_and_waits_for_the_agency(
    house: House, someone: pd.Series
) -> None:
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "restriction", ground="objection")
    assert made.on_hold
    assert house.rows(Hold, "reason")["reason"].tolist() == ["restriction"]
    assert house.rows(Recall, "recall_id").empty
    subjects.verify(house.desk, number_of(made), PROOF)
    done = attend()
    assert (done.recalls, done.files_delivered, done.waiting) == (1, 1, 1)
    assert house.rows(Recall, "reason")["reason"].tolist() == ["restriction"]
    assert attend().recalls == 0
    with pytest.raises(RefusedByPolicy, match=r"waits for \w+ \(recall: 1\)"):
        subjects.answer(house.desk, number_of(made))
    house.answer("give_back")
    attend()
    assert state(house, number_of(made)) == "in_progress"
    assert subjects.answer(house.desk, number_of(made)).outcome == "whole"
    assert house.rows(Hold, "lifted_at")["lifted_at"].isna().all()  # stored only, from now on


def test_a_restriction_that_is_refused_lets_the_debtor_go(house: House, someone: pd.Series) -> None:
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "restriction")
    subjects.refuse(house.desk, number_of(made), "identity_not_proved", "the letter was not signed")
    assert house.rows(Hold, "lifted_at")["lifted_at"].notna().all()
    with pytest.raises(IllegalMove):
        subjects.verify(house.desk, number_of(made), PROOF)


def test_a_hold_that_another_request_needs_stays(house: House, someone: pd.Series) -> None:
    first = number_of(subjects.open_request(house.desk, "harbour", someone["id_number"], "restriction"))
    second = opened(house, someone, "erasure")
    subjects.refuse(house.desk, first, "withdrawn", "a second letter")
    assert house.rows(Hold, "lifted_at")["lifted_at"].isna().all()
    subjects.refuse(house.desk, second, "withdrawn", "a third letter")
    assert len(house.rows(Hold, "hold_id")) == 1


def test_a_legal_reason_must_fit_the_kind(house: House, someone: pd.Series) -> None:
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "access")
    with pytest.raises(UsageError, match="no legal reason"):
        subjects.refuse(house.desk, number_of(made), "retention_duty", "we keep it")


# -- erasure -----------------------------------------------------------------------------------------------------------


def test_an_erasure_is_recalled_returned_certified_and_then_the_identity_goes(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "erasure")
    assert attend().recalls == 1
    with pytest.raises(RefusedByPolicy, match="recall"):
        subjects.answer(house.desk, number, forget=True)
    house.answer("give_back")
    assert attend().erasures == 1
    assert state(house, number) == "waiting"
    with pytest.raises(RefusedByPolicy, match="erasure"):
        subjects.answer(house.desk, number, keep="legal_claims", reason="a suit is pending")
    house.answer("erase")
    attend()
    assert state(house, number) == "in_progress"
    done = subjects.answer(house.desk, number, forget=True)
    assert (done.state, done.outcome, done.forgotten) == ("answered", "whole", True)
    with pytest.raises(UsageError, match="nobody is known"):
        house.ask(someone["id_number"])
    assert house.rows(Debtor, "erased_at")["erased_at"].notna().sum() == 1
    evidence, _ = subjects.prove(house.desk, number, "the authority asks")
    rows = evidence["evidence"]["disclosures"]
    assert {row["erasure"] for row in rows} == {"erased"}
    assert files.check(json.dumps(evidence).encode()).ok


def test_an_erasure_asks_every_agency_that_still_holds_something(house: House, someone: pd.Series) -> None:
    """A placement that ended long ago and was never certified is asked for too, and nobody else's is."""
    (placed,) = placements(house, someone)["placement_id"]
    recall_placements(str(placed), "performance")
    house.answer("give_back")
    number = opened(house, someone, "erasure")
    assert attend().erasures == 1
    assert house.rows(Erasure, "placement_id")["placement_id"].tolist() == [placed]
    assert state(house, number) == "waiting"


def test_a_certificate_that_does_not_satisfy_keeps_the_request_waiting(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "erasure")
    attend()
    house.answer("give_back")
    attend()
    table = bulk.table_of(Erasure)
    with house.desk.database.write() as connection:
        connection.execute(table.update().values(erased_at=house.desk.now(), finding="partial", certified_by="officer"))
    attend()
    assert state(house, number) == "waiting"
    told = house.ask(someone["id_number"]).told
    assert set(told["erasure"]) == {"unsatisfied"}


def test_what_must_be_kept_is_kept_on_hold_with_its_legal_reason(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "erasure")
    attend()
    house.answer("give_back")
    attend()
    house.answer("erase")
    attend()
    with pytest.raises(UsageError, match="destroyed here, or kept"):
        subjects.answer(house.desk, number)
    done = subjects.answer(house.desk, number, keep="retention_duty", reason="collection records, five years")
    assert (done.outcome, done.basis, done.forgotten) == ("partly", "retention_duty", False)
    assert house.rows(Hold, "lifted_at")["lifted_at"].isna().all()
    assert house.ask(someone["id_number"]).accounts


# -- correction --------------------------------------------------------------------------------------------------------


def test_a_correction_reaches_the_vault_the_agency_and_the_register_as_the_policy_releases_it(
    house: House, someone: pd.Series
) -> None:
    number = opened(house, someone, "correction", fields=("phone",))
    done = corrections.correct(house.desk, number, "phone", " +86 139 1234 5678 ")
    (placed,) = placements(house, someone).to_dict("records")
    assert done.agencies == (placed["agency"],)
    assert (done.files, done.state, done.doubtful) == (1, "waiting", False)
    assert cell(house, placed["account_id"], "phone") == "+86 139 1234 5678"
    attend()
    sent = {name: frame for name, frame in house.packages(placed["agency"]).items() if ".correction." in name}
    ((_, frame),) = sent.items()
    assert frame["account"].tolist() == [house.known_as(placed["agency"], placed["account_id"])]
    assert list(frame.columns) == ["account", "effective_on", "phone"]
    before = house.packages(placed["agency"])
    (placing,) = [frame for name, frame in before.items() if ".placement." in name]
    then = placing.set_index("account").loc[frame["account"][0], "phone"]
    released = house.ask(someone["id_number"]).told.query("kind == 'placement' and field == 'phone'")["treatment"]
    assert (frame["phone"][0] == "+86 139 1234 5678") == (released.tolist() == ["release"])
    assert frame["phone"][0] != then
    told = house.ask(someone["id_number"]).told.query("kind == 'correction'")
    assert set(told["file"]) == set(sent)
    assert set(told["field"]) == {"account", "effective_on", "phone"}
    assert set(told["gone_by"]) == set(house.ask(someone["id_number"]).told.query("kind == 'placement'")["gone_by"])


def test_a_correction_waits_for_the_agency_s_word_and_is_then_acknowledged(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("phone",))
    corrections.correct(house.desk, number, "phone", "13912345678")
    attend()
    with pytest.raises(RefusedByPolicy, match="correction: 1"):
        subjects.answer(house.desk, number)
    house.answer("confirm")
    assert house.rows(Correction, "state")["state"].tolist() == ["corrected"]
    sent = house.rows(Transmission, "kind", "state").query("kind == 'correction'")
    assert sent["state"].tolist() == ["acknowledged"]
    attend()
    assert subjects.answer(house.desk, number).state == "answered"


def test_a_field_that_no_agency_was_told_is_corrected_here_alone(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("contact_phone",))
    done = corrections.correct(house.desk, number, "contact_phone", "13912345678")
    assert (done.agencies, done.files, done.state) == ((), 0, "in_progress")


def test_whom_the_gate_told_less_a_correction_does_not_tell_more(house: House, someone: pd.Series) -> None:
    (placed,) = placements(house, someone).to_dict("records")
    check = bulk.table_of(GateCheck)
    with house.desk.database.write() as connection:
        connection.execute(check.update().values(coarser='{"region": "province"}', quasi='["region"]'))
    number = opened(house, someone, "correction", fields=("region",))
    done = corrections.correct(house.desk, number, "region", "310104")
    assert (done.agencies, done.coarser, done.files) == ((), (placed["agency"],), 0)
    regions = house.rows(Account, "account_id", "region").set_index("account_id")["region"]
    assert regions[placed["account_id"]] == "310104"


def test_who_corrects_the_id_number_is_found_by_the_new_one_alone(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("id_number",))
    corrections.correct(house.desk, number, "id_number", "11010519491231002X")
    assert house.ask("11010519491231002X").accounts == house.ask(someone["account_ref"]).accounts
    with pytest.raises(UsageError, match="nobody is known"):
        house.ask(someone["id_number"])


def test_nobody_becomes_another_debtor_by_a_correction(house: House, someone: pd.Series) -> None:
    other = house.raw[house.raw["id_number"] != someone["id_number"]].iloc[0]
    number = opened(house, someone, "correction", fields=("id_number",))
    with pytest.raises(RefusedByPolicy, match="another debtor"):
        corrections.correct(house.desk, number, "id_number", other["id_number"])
    assert state(house, number) == "verified"
    assert house.ask(someone["id_number"]).accounts != house.ask(other["id_number"]).accounts


def test_a_fact_is_corrected_in_clear_and_makes_plans_stale(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("last_paid_on",))
    account = int(placements(house, someone)["account_id"].iloc[0])
    before = house.rows(Account, "account_id", "version").set_index("account_id").loc[account, "version"]
    with pytest.raises(UsageError, match="no last_paid_on"):
        corrections.correct(house.desk, number, "last_paid_on", "yesterday")
    corrections.correct(house.desk, number, "last_paid_on", "2025-12-24")
    after = house.rows(Account, "account_id", "version", "last_paid_on").set_index("account_id").loc[account]
    assert after["last_paid_on"] == pd.Timestamp(2025, 12, 24)
    assert after["version"] == before + 1


def test_what_agencies_were_told_is_not_refused_afterwards(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "correction", fields=("phone",))
    corrections.correct(house.desk, number, "phone", "13912345678")
    with pytest.raises(RefusedByPolicy, match="were told"):
        subjects.refuse(house.desk, number, "accurate", "it was right")


def test_nothing_is_corrected_before_it_is_known_who_asks(house: House, someone: pd.Series) -> None:
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "correction", fields=("phone",))
    with pytest.raises(IllegalMove):
        corrections.correct(house.desk, number_of(made), "phone", "13912345678")
    assert house.rows(Correction, "correction_id").empty


def test_a_dry_run_of_a_correction_says_whom_it_would_be_told_and_changes_nothing(
    house: House, someone: pd.Series
) -> None:
    number = opened(house, someone, "correction", fields=("phone",))
    account = int(placements(house, someone)["account_id"].iloc[0])
    before = cell(house, account, "phone")
    told = corrections.correct(house.desk, number, "phone", "139", dry_run=True)
    assert (told.files, told.doubtful) == (1, True)
    assert cell(house, account, "phone") == before
    assert house.rows(Correction, "correction_id").empty


# -- access ------------------------------------------------------------------------------------------------------------


def test_the_answer_to_access_holds_what_is_held_and_who_was_told(house: House, someone: pd.Series) -> None:
    number = opened(house, someone, "access")
    evidence, ended = subjects.answer_access(house.desk, number)
    held = evidence["evidence"]["held"]
    assert [one["id_number"] for one in held["identities"]] == [someone["id_number"]]
    assert held["identities"][0]["name"] == someone["name"]
    assert held["facts"][0]["balance_minor"] == round(float(someone["balance"]) * 100)
    assert {row["kind"] for row in evidence["evidence"]["disclosures"]} == {"placement"}
    assert (ended.state, ended.outcome) == ("answered", "whole")
    assert ended.answer_sha256 == evidence["sha256"]
    details = house.rows(AuditEvent, "action", "details").query("action == 'subject_request.answered'")["details"]
    assert json.loads(details.iloc[0])["sha256"] == evidence["sha256"]


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_late_request_opens_an_exception_that_ends_with_the_answer(house: House, someone: pd.Series) -> None:
    made = subjects.open_request(house.desk, "harbour", someone["id_number"], "access")
    house.turn(26)
    watching.watch(house.desk)
    house.turn(27)
    watching.watch(house.desk)
    watching.watch(house.desk)
    with house.desk.database.read() as connection:
        found = exceptions.listed(connection, code="subject_request_overdue")
    assert found["subject"].tolist() == [f"subject_request:{made.request_id}"]
    subjects.verify(house.desk, number_of(made), PROOF)
    subjects.answer_access(house.desk, number_of(made))
    with house.desk.database.read() as connection:
        assert exceptions.listed(connection, code="subject_request_overdue").empty


def test_what_is_on_hold_is_placed_with_nobody_again(house: House, someone: pd.Series) -> None:
    from flows.plan import draft
    from models.planning.spec import PlanSpec

    opened(house, someone, "restriction")
    attend()
    house.answer("give_back")
    drafted = draft(PlanSpec(lender="harbour", name="again", seed=2))
    lines = house.rows(PlanLine, "plan_id")
    assert lines[lines["plan_id"] == drafted.plan_id].empty


def test_whom_the_lender_s_next_file_names_again_is_still_on_hold(
    house: House, someone: pd.Series, tmp_path: Any
) -> None:
    opened(house, someone, "restriction")
    house.turn(12)
    source = tmp_path / "next.csv"
    house.raw.to_csv(source, index=False)
    intake(source=str(source), profile="consign", lender="harbour", as_of=date(2026, 1, 12), threshold="0")
    assert house.rows(Hold, "lifted_at")["lifted_at"].isna().all()


@pytest.mark.postgres
def test_on_postgresql_it_is_the_same(house_on_postgresql: House) -> None:
    house = house_on_postgresql
    who = house.raw[house.raw.groupby("id_number")["account_ref"].transform("size") == 1].iloc[0]
    number = opened(house, who, "correction", fields=("phone",))
    assert corrections.correct(house.desk, number, "phone", "13912345678").files == 1
    attend()
    house.answer("confirm")
    erasing = opened(house, who, "erasure")
    assert attend().recalls == 1
    house.answer("give_back")
    assert attend().erasures == 1
    house.answer("erase")
    attend()
    assert subjects.answer(house.desk, number).outcome == "whole"
    told = house.ask("13912345678")
    assert set(told.told["kind"]) == {"placement", "correction", "recall", "erasure_request"}
    assert set(told.told["erasure"]) == {"erased"}
    assert subjects.answer(house.desk, erasing, forget=True).forgotten
    with pytest.raises(UsageError, match="nobody is known"):
        house.ask("13912345678")
