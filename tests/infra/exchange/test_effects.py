"""What an accepted line of each kind changes, and which lines are refused one by one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from infra import outbox
from infra.packages import account_pseudonyms
from infra.store import bulk, erasures, exchange, placing
from models.errors import RefusedByPolicy
from models.kinds import INBOUND
from models.tables import (
    Account,
    Activity,
    Complaint,
    Erasure,
    Hold,
    InboundReject,
    Instalment,
    InstalmentPlan,
    InvoiceLine,
    Placement,
    Recall,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Gateway = Any  # tests/infra/exchange/conftest.py
TODAY = date(2026, 1, 10)
GONE = "A" + "0" * 26


def in_days(number: int) -> Callable[[str, str], date]:
    """Every agency has so many days."""
    return lambda _lender, _agency: TODAY + timedelta(days=number)


def line(kind: str, account: str, /, **columns: str) -> dict[str, str]:
    """A line of that kind that would be accepted, but for what is told otherwise."""
    lines: dict[str, dict[str, str]] = {
        "acknowledgement": {"status": "booked", "currency": "CNY", "booked_balance": "1000.00",
                            "booked_on": "2026-01-09"},
        "activity": {"at": "2026-01-09T09:30:00+08:00", "channel": "phone", "outcome": "promise"},
        "return": {"reason": "untraceable", "returned_on": "2026-01-09", "currency": "CNY"},
        "remittance": {"agency_txn_id": f"T{account[-4:]}", "type": "recovery", "currency": "CNY", "gross": "100.00",
                       "net": "100.00", "value_date": "2026-01-09"},
        "invoice": {"invoice_no": "1", "agency_txn_id": f"T{account[-4:]}", "currency": "CNY", "base": "100.00",
                    "commission": "20.00", "vat": "1.20", "period": "2026-01"},
        "erasure_certificate": {"erased_at": "2026-01-10T18:00:00+08:00", "scope": "all", "method": "shredded",
                                "certified_by": "the officer"},
        "correction_confirmation": {"field": "phone", "status": "corrected", "corrected_on": "2026-01-10"},
        "complaint": {"complaint_ref": f"C{account[-4:]}", "received_on": "2026-01-09", "category": "conduct"},
        "plan": {"plan_ref": f"P{account[-4:]}", "instalment": "1", "due_on": "2026-02-01", "currency": "CNY",
                 "amount": "100.00"},
        "hold_request": {"reason": "dispute", "since": "2026-01-09", "until": "2026-03-01"},
        "recall_objection": {"reason": "payment_promised", "keep_until": "2026-02-01"},
    }  # fmt: skip
    return {"account": account, **lines[kind], **columns}


def take(gateway: Gateway, kind: str, *lines: dict[str, str]) -> pd.DataFrame:
    """The lines come in one file; returns the refusals of lines."""
    gateway.send(kind, pd.DataFrame(list(lines)).fillna(""))
    assert gateway.collect().accepted == 1
    file_id = int(gateway.files()["file_id"].max())
    rejects: pd.DataFrame = gateway.rows(InboundReject, "file_id", "line", "column", "code")
    return rejects.loc[rejects["file_id"] == file_id]


def said(rejects: pd.DataFrame) -> list[tuple[int, str, str]]:
    return list(zip(rejects["line"], rejects["column"], rejects["code"], strict=True))


def states(gateway: Gateway) -> list[str]:
    rows: pd.DataFrame = gateway.rows(Placement, "placement_id", "state")
    return [str(state) for state in rows.sort_values("placement_id")["state"]]


def finding(gateway: Gateway) -> str | None:
    told = gateway.files()["finding"].iloc[-1]
    return None if pd.isna(told) else str(told)


BAD: list[tuple[str, dict[str, str], str, str]] = [
    ("acknowledgement", {"booked_balance": "1,000.00"}, "booked_balance", "not_amount"),
    ("acknowledgement", {"booked_balance": "1000.001"}, "booked_balance", "not_amount"),
    ("acknowledgement", {"booked_balance": ""}, "booked_balance", "missing"),
    ("acknowledgement", {"status": "yes"}, "status", "not_one_of"),
    ("acknowledgement", {"currency": "USD"}, "currency", "wrong_currency"),
    ("acknowledgement", {"currency": "yuan"}, "currency", "not_currency"),
    ("acknowledgement", {"booked_on": "2026-02-30"}, "booked_on", "not_date"),
    ("acknowledgement", {"booked_on": "2026-01-13"}, "booked_on", "future"),
    ("acknowledgement", {"account": GONE}, "account", "unknown_account"),
    ("acknowledgement", {"account": "1.23457E+17"}, "account", "spreadsheet_number"),
    ("acknowledgement", {"reason": "x" * 2_001}, "reason", "too_long"),
    ("acknowledgement", {"reason": "a\x07b"}, "reason", "control_character"),
    ("activity", {"at": "2026-01-09 09:30"}, "at", "not_datetime"),
    ("activity", {"at": "2026-01-12T09:30:00+08:00"}, "at", "future"),
    ("activity", {"channel": "pigeon"}, "channel", "not_one_of"),
    ("return", {"reason": "bored"}, "reason", "not_one_of"),
    ("return", {"returned_on": "2027-01-01"}, "returned_on", "future"),
    ("remittance", {"gross": "-1.00", "net": "-1.00"}, "gross", "sign"),
    ("remittance", {"type": "reversal"}, "gross", "sign"),
    ("remittance", {"net": "99.99"}, "net", "net_does_not_add_up"),
    ("remittance", {"agency_txn_id": "1.5E+10"}, "agency_txn_id", "spreadsheet_number"),
    ("invoice", {"period": "2026-13"}, "period", "not_yearmonth"),
    ("erasure_certificate", {}, "account", "not_recalled"),
    ("erasure_certificate", {"scope": "most"}, "scope", "not_one_of"),
    ("correction_confirmation", {}, "field", "no_correction"),
    ("correction_confirmation", {"field": "balance"}, "field", "not_one_of"),
    ("correction_confirmation", {"corrected_on": "2027-01-01"}, "corrected_on", "future"),
    ("plan", {"account": GONE}, "account", "unknown_account"),
    ("plan", {"amount": "-1.00"}, "amount", "not_above_zero"),
    ("plan", {"instalment": "2"}, "instalment", "plan_disordered"),
    ("plan", {"instalment": "one"}, "instalment", "not_integer"),
    ("plan", {"currency": "USD"}, "currency", "wrong_currency"),
    ("hold_request", {"account": GONE}, "account", "unknown_account"),
    ("hold_request", {"reason": "mood"}, "reason", "not_one_of"),
    ("hold_request", {"until": "2026-01-08"}, "until", "out_of_order"),
    ("hold_request", {"since": "2026-02-01"}, "since", "future"),
    ("recall_objection", {}, "account", "no_recall"),
    ("recall_objection", {"keep_until": ""}, "keep_until", "missing"),
    ("complaint", {"account": GONE}, "account", "unknown_account"),
    ("complaint", {"received_on": ""}, "received_on", "missing"),
]


@pytest.mark.parametrize(("kind", "otherwise", "column", "code"), BAD)
def test_a_bad_line_is_refused_alone(
    gateway: Gateway, kind: str, otherwise: dict[str, str], column: str, code: str
) -> None:
    accounts = gateway.place()["account"]
    good = line(kind, accounts[1], **({"complaint_ref": "C-2"} if kind == "complaint" else {}))
    rejects = take(gateway, kind, line(kind, accounts[0], **otherwise), good)
    expected = [(1, column, code)]
    if kind == "erasure_certificate" and not otherwise:
        expected.append((2, column, code))  # nobody asked for either
    assert [one for one in said(rejects) if one[0] == 1] == expected[:1]
    receipt = gateway.receipts()[-1]
    assert receipt["outcome"].iloc[0] == "accepted_with_rejects"
    lines = receipt.dropna(subset=["line"])
    assert (lines["line"].iloc[0], lines["column"].iloc[0], lines["code"].iloc[0]) == ("1", column, code)


def test_every_kind_that_comes_has_bad_lines_here() -> None:
    of_no_account = {"refusal", "fingerprint"}  # test_certification.py
    assert {kind for kind, *_ in BAD} == INBOUND - of_no_account


def test_an_account_that_comes_twice_counts_the_first_time(gateway: Gateway) -> None:
    account = gateway.place()["account"][0]
    rejects = take(gateway, "acknowledgement", line("acknowledgement", account), line("acknowledgement", account))
    assert said(rejects) == [(2, "account", "repeated")]


def test_an_acknowledgement_books_what_it_says_and_closes_what_it_rejects(gateway: Gateway) -> None:
    placed = gateway.place()
    lines = [line("acknowledgement", account) for account in placed["account"]]
    lines[1] |= {"booked_balance": "999.00"}
    lines[2] |= {"status": "rejected"}
    take(gateway, "acknowledgement", *lines)
    assert states(gateway) == ["acknowledged", "acknowledged", "closed", "acknowledged", "acknowledged", "acknowledged"]
    assert finding(gateway) == "booked_balance_differs:1"
    rows = gateway.rows(Placement, "placement_id", "booked_minor", "end_reason").sort_values("placement_id")
    assert rows["booked_minor"].tolist()[:2] == [100_000, 99_900]
    assert rows["end_reason"].tolist()[2] == "declined"
    assert gateway.rows(Transmission, "kind", "state").query("kind == 'placement'")["state"].tolist() == [
        "acknowledged"
    ]


def test_contacts_are_kept_with_the_offset_they_were_told_in(gateway: Gateway) -> None:
    accounts = gateway.place()["account"]
    take(
        gateway,
        "activity",
        line("activity", accounts[0]),
        line("activity", accounts[0], at="2026-01-09T23:30:00-03:30"),
    )
    rows = gateway.rows(Activity, "line", "at", "offset_minutes", "placement_id")
    assert rows["offset_minutes"].tolist() == [480, -210]
    assert rows["at"].dt.strftime("%d %H:%M").tolist() == ["09 01:30", "10 03:00"]


def test_a_return_closes_confirms_and_holds(gateway: Gateway) -> None:
    placed = gateway.place()
    desk = gateway.world.desk
    due = placed[["placement_id"]][:1].assign(lender="harbour", agency="quayside", reason="term")
    with desk.database.write() as connection:
        placing.recall(connection, due, TODAY, in_days(5), "li.wei", lambda _: ".age")
    accounts = placed["account"]
    take(
        gateway,
        "return",
        line("return", accounts[0], reason="recalled"),
        line("return", accounts[1], reason="deceased"),
        line("return", accounts[2], reason="paid", final_balance="0.00"),
        line("return", accounts[3], reason="paid", final_balance="1.00"),
    )
    assert states(gateway) == ["closed"] * 4 + ["placed"] * 2
    assert gateway.rows(Recall, "confirmed_on")["confirmed_on"].tolist() == [pd.Timestamp(2026, 1, 9)]
    assert gateway.rows(Hold, "debtor_id", "reason").to_numpy().tolist() == [[2, "deceased"]]
    status = gateway.rows(Account, "account_id", "status").sort_values("account_id")["status"].tolist()
    assert status == ["open", "open", "paid", "open", "open", "open"]
    again = take(gateway, "return", line("return", accounts[0], reason="paid", final_balance="0.00"))
    assert again.empty  # late, and without effect
    assert gateway.rows(Placement, "end_reason")["end_reason"].dropna().tolist().count("paid") == 2


def test_money_lines_reach_the_books_with_their_account_or_without(gateway: Gateway) -> None:
    accounts = gateway.place()["account"]
    take(gateway, "remittance", line("remittance", accounts[0]), line("remittance", GONE))
    take(gateway, "invoice", line("invoice", accounts[0]))
    money = gateway.rows(RemittanceLine, "line", "account_id", "gross_minor", "state").sort_values("line")
    assert money["gross_minor"].tolist() == [10_000, 10_000]
    assert money["account_id"].iloc[0] == 1
    assert pd.isna(money["account_id"].iloc[1])
    assert gateway.rows(InvoiceLine, "commission_minor", "vat_minor").to_numpy().tolist() == [[2_000, 120]]


def test_a_complaint_puts_the_debtor_on_hold_from_today_at_the_latest(gateway: Gateway) -> None:
    accounts = gateway.place()["account"]
    lines = [
        line("complaint", accounts[0], received_on="2026-01-11", severity="serious"),  # tomorrow, where the agency is
        line("complaint", "", complaint_ref="C-0"),
    ]
    take(gateway, "complaint", *lines)
    take(gateway, "complaint", lines[0])  # told again: the same complaint
    complaints = gateway.rows(Complaint, "complaint_ref", "placement_id", "severity")
    assert complaints["severity"].tolist() == ["serious", "normal"]
    assert complaints["placement_id"].isna().tolist() == [False, True]
    holds = gateway.rows(Hold, "debtor_id", "reason", "since")
    assert holds.to_numpy().tolist() == [[1, "complaint", pd.Timestamp(TODAY)]]
    with gateway.world.desk.database.read() as connection:
        due = placing.due_for_recall(connection, "harbour", TODAY)
    assert due[["placement_id", "reason"]].to_numpy().tolist() == [[101, "complaint"]]


def ended(gateway: Gateway) -> pd.DataFrame:
    """Two accounts came back, and the agency was asked to erase them."""
    placed: pd.DataFrame = gateway.place()
    take(gateway, "return", *(line("return", account) for account in placed["account"][:2]))
    desk = gateway.world.desk
    with desk.database.write() as connection:
        (transmission_id,) = placing.request_erasures(connection, "harbour", TODAY, in_days(30), lambda _: ".age")
        assert placing.request_erasures(connection, "harbour", TODAY, in_days(30), lambda _: ".age") == []
        exchange.note(connection, transmission_id, state="delivered")
    return placed


@pytest.mark.parametrize(
    ("otherwise", "wanting"),
    [
        ({"scope": "partial"}, "partial"),
        ({"retained": "call recordings"}, "something was retained"),
        ({"erased_at": "2026-01-13T09:00:00+08:00"}, "dated in the future"),
        ({"erased_at": "2026-01-01T09:00:00+08:00"}, "dated before it was asked for"),
        ({"method": "N/A"}, "it does not say how"),
    ],
)
def test_a_certificate_that_is_wanting_leaves_the_erasure_open(
    gateway: Gateway, otherwise: dict[str, str], wanting: str
) -> None:
    accounts = ended(gateway)["account"]
    take(
        gateway,
        "erasure_certificate",
        line("erasure_certificate", accounts[0], **otherwise),
        line("erasure_certificate", accounts[1]),
    )
    rows = gateway.rows(Erasure, "placement_id", "verified_at", "finding").sort_values("placement_id")
    assert rows["verified_at"].isna().tolist() == [True, False]
    assert rows["finding"].iloc[0] == wanting
    assert finding(gateway) == "certificate_unsatisfied:1"
    late = date(2026, 2, 10)
    with gateway.world.desk.database.read() as connection:
        overdue = placing.overdue_erasures(connection, late)
        assert placing.overdue_erasures(connection, date(2026, 2, 9)).empty
    assert overdue[["agency", "placements"]].to_numpy().tolist() == [["quayside", 1]]
    take(gateway, "erasure_certificate", line("erasure_certificate", accounts[0]))  # a better one
    with gateway.world.desk.database.read() as connection:
        assert placing.overdue_erasures(connection, late).empty
    requests = gateway.rows(Transmission, "kind", "state").query("kind == 'erasure_request'")
    assert requests["state"].tolist() == ["acknowledged"]


def test_a_certificate_from_before_the_last_file_that_told_of_the_account_does_not_satisfy(gateway: Gateway) -> None:
    accounts = ended(gateway)["account"]
    desk = gateway.world.desk
    with desk.database.write() as connection:  # an update of a balance went out since
        work = exchange.Work("update:1", "harbour", "quayside", "update", TODAY, ".age", {"reason": "balance"})
        transmission_id, _ = exchange.prepare(connection, work)
        row = {"transmission_id": transmission_id, "placement_id": 101, "account_id": 1}
        connection.execute(exchange.MEMBERS.insert().values(**row))
        exchange.note(connection, transmission_id, state="delivered", delivered_at=desk.now() + timedelta(days=2))
    take(gateway, "erasure_certificate", line("erasure_certificate", accounts[0]))
    rows = gateway.rows(Erasure, "placement_id", "finding").set_index("placement_id")["finding"]
    assert rows[101] == "dated before the last file that told of it"


def test_each_erasure_says_how_it_stands(gateway: Gateway) -> None:
    accounts = ended(gateway)["account"]
    take(gateway, "erasure_certificate", line("erasure_certificate", accounts[0]))
    with gateway.world.desk.database.read() as connection:
        now = erasures.by_placement(connection, TODAY).set_index("placement_id")
        late = erasures.by_placement(connection, date(2026, 3, 1), state="overdue")
    assert now["state"].to_dict() == {101: "certified", 102: "waiting"}
    assert now["method"].dropna().to_dict() == {101: "shredded"}
    assert late["placement_id"].tolist() == [102]


def test_one_certificate_answers_every_request_for_the_account(gateway: Gateway) -> None:
    """An account that was with the agency twice, and came back twice."""
    placed = ended(gateway)
    desk = gateway.world.desk
    with desk.database.write() as connection:
        first = bulk.read(
            connection, bulk.table_of(Placement).select().where(exchange.PLACEMENTS.c.placement_id == 101)
        )
        bulk.append(connection, Placement, first.assign(placement_id=901, plan_id=2, round=2))
        (transmission_id,) = placing.request_erasures(connection, "harbour", TODAY, in_days(30), lambda _: ".age")
        exchange.note(connection, transmission_id, state="delivered")
    take(gateway, "erasure_certificate", line("erasure_certificate", placed["account"][0]))
    rows = gateway.rows(Erasure, "placement_id", "verified_at").set_index("placement_id")["verified_at"]
    assert rows.notna().to_dict() == {101: True, 102: False, 901: True}


def test_a_gap_is_taken_with_a_finding_and_so_is_what_fills_it(gateway: Gateway) -> None:
    lines = gateway.acknowledging(gateway.place())
    for sequence, told in ((1, None), (3, "sequence_gap"), (2, "sequence_late"), (4, None)):
        gateway.send("acknowledgement", lines[sequence - 1 : sequence], sequence=sequence)
        assert gateway.collect().accepted == 1
        assert finding(gateway) == told


def test_an_overdue_recall_is_seen_until_it_is_confirmed(gateway: Gateway) -> None:
    placed = gateway.place()
    due = placed[["placement_id"]][:2].assign(lender="harbour", agency="quayside", reason="hold")
    with gateway.world.desk.database.write() as connection:
        placing.recall(connection, due, TODAY, in_days(5), "li.wei", lambda _: ".age")
    with gateway.world.desk.database.read() as connection:
        assert placing.overdue_recalls(connection, date(2026, 1, 15)).empty
        overdue = placing.overdue_recalls(connection, date(2026, 1, 16))
    assert overdue[["agency", "reason", "placements"]].to_numpy().tolist() == [["quayside", "hold", 2]]
    take(gateway, "return", *(line("return", account, reason="recalled") for account in placed["account"][:2]))
    with gateway.world.desk.database.read() as connection:
        assert placing.overdue_recalls(connection, date(2026, 1, 16)).empty


def test_an_instalment_plan_is_kept_whole_or_not_at_all(gateway: Gateway) -> None:
    accounts = gateway.place()["account"]
    lines = [
        line("plan", accounts[0], plan_ref="P-1", instalment="2", due_on="2026-03-01", amount="40.00"),
        line("plan", accounts[0], plan_ref="P-1", instalment="1", due_on="2026-02-01", amount="60.50"),
        line("plan", accounts[1], plan_ref="P-2", instalment="1"),
        line("plan", accounts[1], plan_ref="P-2", instalment="2", due_on="2026-02-01"),  # not after the first
        line("plan", accounts[2], plan_ref="P-3", instalment="1"),
        line("plan", accounts[3], plan_ref="P-3", instalment="2", due_on="2026-04-01"),  # of another account
    ]
    assert said(take(gateway, "plan", *lines)) == [
        (3, "plan_ref", "plan_broken"),
        (4, "instalment", "plan_disordered"),
        (5, "plan_ref", "plan_broken"),
        (6, "instalment", "plan_disordered"),
    ]
    assert finding(gateway) == "plans_proposed:1"
    plans = gateway.rows(InstalmentPlan, "plan_ref", "placement_id", "total_minor", "instalments", "state")
    assert plans.to_numpy().tolist() == [["P-1", 101, 10_050, 2, "proposed"]]
    paid = gateway.rows(Instalment, "number", "due_on", "amount_minor").sort_values("number")
    assert paid["amount_minor"].tolist() == [6_050, 4_000]
    assert said(take(gateway, "plan", lines[1])) == [(1, "plan_ref", "plan_known")]


def test_a_hold_that_an_agency_asks_for_counts_at_once_and_once(gateway: Gateway) -> None:
    accounts = gateway.place()["account"]
    for _ in range(2):
        take(gateway, "hold_request", line("hold_request", accounts[0], reason="vulnerable", until=""))
    holds = gateway.rows(Hold, "debtor_id", "reason", "since", "placed_by")
    assert holds.to_numpy().tolist() == [[1, "vulnerable", pd.Timestamp(2026, 1, 9), "quayside"]]
    with gateway.world.desk.database.read() as connection:
        due = placing.due_for_recall(connection, "harbour", TODAY)
    assert due[["placement_id", "reason"]].to_numpy().tolist() == [[101, "vulnerable"]]


def names(gateway: Gateway) -> list[str]:
    """What the agency calls the six accounts."""
    key = gateway.world.desk.keyring.pseudonym_key("quayside")
    return account_pseudonyms(key, pd.Series(range(1, 7))).tolist()


def objected(gateway: Gateway) -> int:
    """Two accounts are recalled, and the agency objects to the first; the objection's id."""
    placed = gateway.place()
    due = placed[["placement_id"]][:2].assign(lender="harbour", agency="quayside", reason="term")
    with gateway.world.desk.database.write() as connection:
        placing.recall(connection, due, TODAY, in_days(5), "li.wei", lambda _: ".age")
    take(gateway, "recall_objection", line("recall_objection", placed["account"][0]))
    assert finding(gateway) == "recall_objections:1"
    with gateway.world.desk.database.read() as connection:
        return int(placing.objections(connection)["objection_id"].iloc[0])


@pytest.mark.parametrize("keep_until", [None, date(2026, 2, 1)])
def test_an_objection_is_answered_with_the_recall_sent_again(gateway: Gateway, keep_until: date | None) -> None:
    objection = objected(gateway)
    desk = gateway.world.desk
    with desk.database.write() as connection:
        answer = placing.decide_objection(
            connection, objection, keep_until, "li.wei", desk.now(), TODAY, lambda _: ".age"
        )
    outbox.send(desk, "quayside")
    recalls = gateway.rows(Recall, "placement_id", "due_on").set_index("placement_id")["due_on"]
    assert recalls[101] == pd.Timestamp(keep_until or date(2026, 1, 15))
    assert recalls[102] == pd.Timestamp(2026, 1, 15)
    with desk.database.read() as connection:
        sent = exchange.transmission(connection, answer)
        assert placing.objections(connection).empty
        assert placing.objections(connection, all_of_them=True)["state"].tolist() == [
            "upheld" if keep_until else "dismissed"
        ]
    assert (sent.kind, sent.state, sent.rows) == ("recall", "delivered", 1)
    with (
        desk.database.write() as connection,
        pytest.raises(RefusedByPolicy, match=f"objection {objection} is"),
    ):
        placing.decide_objection(connection, objection, None, "li.wei", desk.now(), TODAY, lambda _: ".age")
    account = names(gateway)[0]
    take(gateway, "return", line("return", account, reason="recalled"))
    with desk.database.read() as connection:
        assert exchange.transmission(connection, answer).state == "acknowledged"


def test_a_recall_can_be_objected_to_until_it_is_confirmed(gateway: Gateway) -> None:
    objection = objected(gateway)
    account = names(gateway)[0]
    take(gateway, "return", line("return", account, reason="recalled"))
    assert said(take(gateway, "recall_objection", line("recall_objection", account))) == [(1, "account", "no_recall")]
    desk = gateway.world.desk
    with desk.database.write() as connection, pytest.raises(RefusedByPolicy, match="its recall confirmed"):
        placing.decide_objection(connection, objection, None, "li.wei", desk.now(), TODAY, lambda _: ".age")
