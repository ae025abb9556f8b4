"""Every reason for which a whole file is refused: the receipt says it, and nothing else has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import select

from infra import inbound, onboarding, outbox
from infra.store import bulk, exchange
from keys.keyring import Keyring
from keys.sealing import seal_for
from models.checking import CODES
from models.tables import AuditEvent, Transmission

if TYPE_CHECKING:
    from pathlib import Path

Gateway = Any  # tests/infra/exchange/conftest.py
Wrong = Callable[[Gateway, pd.DataFrame], Any]
"""Sends a file that is wrong in one way; the frame is an acknowledgement that would be accepted."""
ENVELOPE = tuple(CODES)[tuple(CODES).index("bad_name") :]


def named(old: str, new: str) -> Wrong:
    """The name says something else."""

    def wrong(gateway: Gateway, frame: pd.DataFrame) -> None:
        name, plain = gateway.package("acknowledgement", frame)
        gateway.seal(name.replace(old, new), plain)

    return wrong


def packed(**otherwise: Any) -> Wrong:
    """The package says something else, or holds it."""
    return lambda gateway, frame: gateway.send("acknowledgement", frame, **otherwise)


def holding(text: bytes) -> Wrong:
    """The table is these bytes."""
    return lambda gateway, _: gateway.send("acknowledgement", text)


def altered(change: Callable[[bytes], bytes]) -> Wrong:
    """The sealed bytes are changed on their way."""

    def wrong(gateway: Gateway, frame: pd.DataFrame) -> None:
        sealed = gateway.agency.outbox / gateway.send("acknowledgement", frame)
        sealed.write_bytes(change(sealed.read_bytes()))

    return wrong


def sealed_by(stranger: bool, to_stranger: bool) -> Wrong:
    """Somebody else signed it, or it is sealed to somebody else."""

    def wrong(gateway: Gateway, frame: pd.DataFrame) -> None:
        now, root = gateway.world.clock.now, gateway.agency.root
        other = Keyring.create(root / "other.json", key_file=root / "other.key")
        other.new_own_keys("age", now)
        keyring = other if stranger else gateway.agency.keyring
        receiver = other if to_stranger else gateway.world.desk.keyring
        public = receiver.public_keys("age", now)
        keyring.trust("receiver", "age", encrypt=public["encrypt"], verify=public["verify"], now=now)
        name, plain = gateway.package("acknowledgement", frame)
        seal_for(keyring, "receiver", "age", plain, gateway.agency.outbox / name, now)

    return wrong


def signed_before_the_key_changed(day: date, *, revoke: bool) -> Wrong:
    """Signed with a key that has run out or was revoked since; both sides have new ones."""

    def wrong(gateway: Gateway, frame: pd.DataFrame) -> None:
        name = gateway.send("acknowledgement", frame)
        world, agency = gateway.world, gateway.agency
        world.clock.turn(day)
        ours, theirs, now = world.desk.keyring, agency.keyring, world.clock.now
        ours.new_own_keys("age", now)
        theirs.new_own_keys("age", now)
        public = ours.public_keys("age", now)
        theirs.trust("lender", "age", encrypt=public["encrypt"], verify=public["verify"], now=now)
        public = theirs.public_keys("age", now)
        ours.trust(agency.code, "age", encrypt=public["encrypt"], verify=public["verify"], now=now)
        if revoke:
            ours.revoke(agency.code, "1", now)
        assert (agency.outbox / name).exists()

    return wrong


def accepted_first(again: Wrong) -> Wrong:
    """A good file comes, and then this one."""

    def wrong(gateway: Gateway, frame: pd.DataFrame) -> None:
        gateway.send("acknowledgement", frame, sequence=1)
        assert gateway.collect().accepted == 1
        again(gateway, frame)

    return wrong


def resealed(gateway: Gateway, frame: pd.DataFrame) -> None:
    name, plain = gateway.package("acknowledgement", frame, sequence=1)
    gateway.seal(name.replace("20260110", "20260111"), plain)


WRONG: list[tuple[str, Wrong]] = [
    ("bad_name", named(".000001.zip.age", ".1.zip.age")),
    ("bad_name", named(".zip.age", ".zip.pgp")),
    ("bad_name", named("harbour.", "a debtor 13800138000 ")),
    ("wrong_agency", named("quayside", "hengxin")),
    ("wrong_kind", named("acknowledgement", "placement")),
    ("unknown_lender", packed(lender="lotus")),
    ("bad_signature", altered(lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]))),
    ("bad_signature", altered(lambda sealed: sealed[:-100])),
    ("wrong_signer", sealed_by(stranger=True, to_stranger=False)),
    ("not_for_us", sealed_by(stranger=False, to_stranger=True)),
    ("truncated", altered(lambda sealed: sealed[:30])),
    ("tampered", altered(lambda sealed: b"x" * len(sealed))),
    ("key_expired", signed_before_the_key_changed(date(2027, 2, 1), revoke=False)),
    ("key_revoked", signed_before_the_key_changed(date(2026, 1, 11), revoke=True)),
    ("not_a_package", packed(members={"more.csv": b"a\n1\n"})),
    ("not_a_package", packed(members={"datapackage.json": b""})),
    ("manifest", packed(members={"datapackage.json": b"{}"})),
    ("manifest", packed(members={"datapackage.json": b"[[["})),
    ("manifest", packed(manifest={"sequence": 9})),
    ("manifest", packed(manifest={"agency": "hengxin"})),
    ("manifest", packed(manifest={"kind": "return"})),
    ("manifest", packed(claims={"path": "../accounts.csv"})),
    ("hash", packed(claims={"hash": "sha256:" + "0" * 64})),
    ("rows", packed(manifest={"rows": 5})),
    ("control_sum", packed(manifest={"control": {"field": "booked_balance", "sums": {"CNY": "5999.99"}}})),
    ("control_sum", packed(manifest={"control": None})),
    ("sequence_repeat", accepted_first(lambda gateway, frame: gateway.send("acknowledgement", frame[:3], sequence=1))),
    ("replayed", accepted_first(resealed)),
    ("encoding", holding("account,结果\nG1,booked\n".encode("gb18030"))),
    ("malformed_csv", holding(b'account,"status\na,booked\n')),
    ("malformed_csv", holding(b"\n")),
    ("too_large", holding(b"account,status\n" + b"0" * 5_000_000)),
    ("missing_column", holding(b"account,status\na,booked\n")),
    (
        "unknown_column",
        holding(b"account,status,currency,booked_balance,booked_on,blood_type\na,booked,CNY,1.00,2026-01-09,AB\n"),
    ),
    (
        "repeated_column",
        holding(b"account,account,status,currency,booked_balance,booked_on\na,a,booked,CNY,1.00,2026-01-09\n"),
    ),
]


@pytest.mark.parametrize(("code", "wrong"), WRONG, ids=[f"{number}-{code}" for number, (code, _) in enumerate(WRONG)])
def test_a_file_that_cannot_be_believed_is_refused_and_told_why(gateway: Gateway, code: str, wrong: Wrong) -> None:
    frame = gateway.acknowledging(gateway.place())
    if code in {"sequence_repeat", "replayed"}:
        wrong(gateway, frame)
        before = gateway.store()
    else:
        before = gateway.store()
        wrong(gateway, frame)
    took = gateway.collect()
    assert (took.accepted, took.refused) == (0, 1)
    file = gateway.files().iloc[-1]
    assert (file["state"], file["refusal_code"]) == ("refused", code)
    assert gateway.store() == before
    whole = gateway.receipts()[-1].iloc[0]
    assert (whole["outcome"], whole["code"]) == ("refused", code)
    assert whole["fix"] == CODES[code]
    assert whole["file"] == file["name"]
    assert list(gateway.world.desk.folder("scratch").iterdir()) == []
    assert [path.name for path in gateway.agency.outbox.iterdir() if path.is_file()] == []
    assert gateway.collect() == type(took)("quayside")


def test_every_reason_of_the_envelope_is_tried(gateway: Gateway) -> None:
    assert gateway is not None
    elsewhere = {"too_many_refused"}  # in test_hostile.py
    elsewhere |= {"unknown_key", "not_as_declared", "not_a_file"}  # below, and in test_receipts.py
    elsewhere |= {"wrong_format", "missing_sheet", "header_record", "trailer_record"}  # in test_layouts.py
    assert set(ENVELOPE) - {code for code, _ in WRONG} == elsewhere


def test_a_file_of_an_agency_whose_keys_we_do_not_have_waits_for_them_with_its_receipt(gateway: Gateway) -> None:
    desk = gateway.world.desk
    root = gateway.agency.root.parent / "newcomer"
    for name in ("to_agency", "from_agency"):
        (root / name).mkdir(parents=True)
    onboarding.add(desk, "newcomer", "New & Co", drop={"kind": "folder", "root": str(root)})
    name, plain = gateway.package("acknowledgement", gateway.acknowledging(gateway.place()), agency="newcomer")
    seal_for(gateway.agency.keyring, "lender", "age", plain, root / "from_agency" / name, gateway.world.clock.now)
    assert inbound.collect(desk, "newcomer").refused == 1
    assert gateway.files()["refusal_code"].tolist() == ["unknown_key"]
    with pytest.raises(Exception, match="no age key"):
        outbox.send(desk, "newcomer")
    assert gateway.rows(Transmission, "agency", "state").query("agency == 'newcomer'")["state"].tolist() == ["prepared"]


def test_a_file_without_a_header_is_refused_without_repeating_whom_it_speaks_of(gateway: Gateway) -> None:
    gateway.place()
    gateway.send("acknowledgement", "李伟,13800138000,li.wei@example.com,Li Wei\na,b,c,d\n".encode())
    assert gateway.collect().refused == 1
    receipt = gateway.receipts()[-1]
    said = receipt.to_csv()
    with gateway.world.desk.database.read() as connection:
        said += bulk.read(connection, select(*bulk.table_of(AuditEvent).c)).to_csv()
        said += bulk.read(connection, select(*exchange.FILES.c)).to_csv()
    assert not [value for value in ("李伟", "13800138000", "li.wei", "Li Wei") if value in said]
    assert {"#1", "#2", "#3", "#4"} <= set(receipt["column"].dropna())


def test_a_hostile_name_is_left_where_it_is_and_counted(gateway: Gateway) -> None:
    (gateway.agency.outbox / "\n13800138000.age").write_bytes(b"x")
    took = gateway.collect()
    assert (took.refused, took.ignored) == (0, 1)
    assert gateway.files()["refusal_code"].tolist() == ["bad_name"]


def test_a_package_that_makes_up_a_thousand_currencies_is_read_in_no_time(gateway: Gateway) -> None:
    accounts = gateway.place()
    frame = pd.concat([gateway.acknowledging(accounts)] * 3_000, ignore_index=True)
    frame["currency"] = [f"C{number}" for number in range(len(frame))]
    gateway.send(
        "acknowledgement", frame, manifest={"control": {"sums": {f"C{n}": "1000.00" for n in range(len(frame))}}}
    )
    took = gateway.collect()
    assert (took.accepted, took.lines_refused) == (1, len(frame))


def test_a_fault_of_ours_at_one_file_does_not_hold_up_the_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = gateway.acknowledging(gateway.place())
    for sequence in (1, 2):
        gateway.send("acknowledgement", frame[sequence - 1 : sequence], sequence=sequence)
    true = inbound._opened

    def failing_once(case: inbound.Case, stored: Path, plain: Path) -> Any:
        if case.sequence == 1:
            raise ZeroDivisionError
        return true(case, stored, plain)

    monkeypatch.setattr(inbound, "_opened", failing_once)
    with pytest.raises(ZeroDivisionError):
        inbound.collect(gateway.world.desk, "quayside")
    assert sorted(gateway.files()["state"]) == ["accepted", "claimed"]
    monkeypatch.undo()
    took = gateway.collect()
    assert took.accepted == 1
    assert gateway.files()["state"].tolist() == ["accepted", "accepted"]
    assert gateway.files()["finding"].tolist()[0] == "sequence_late"
    assert [path for path in gateway.agency.outbox.iterdir() if path.is_file()] == []


def test_the_audit_trail_names_files_by_number_alone(gateway: Gateway) -> None:
    named("harbour.", "li wei 13800138000 ")(gateway, gateway.acknowledging(gateway.place()))
    gateway.collect()
    details = gateway.rows(AuditEvent, "details", "subject")
    assert not details.astype(str).map(lambda text: "13800138000" in text or "li wei" in text).to_numpy().any()
    assert json.loads(details["details"].iloc[-1]) is not None
