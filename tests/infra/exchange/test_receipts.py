"""Every file has its receipt: accepted with counts and sums, refused with the reason, fetched or not."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from infra import exceptions, inbound
from infra.store import exchange
from models.checking import CODES

if TYPE_CHECKING:
    import pandas as pd

Gateway = Any  # tests/infra/exchange/conftest.py


@pytest.fixture
def frame(gateway: Gateway) -> pd.DataFrame:
    """Six lines of an acknowledgement that would be accepted, 1,000.00 each."""
    found: pd.DataFrame = gateway.acknowledging(gateway.place())
    return found


def unresolved(gateway: Gateway) -> list[tuple[str, str]]:
    with gateway.world.desk.database.read() as connection:
        found = exceptions.listed(connection)
    return sorted(zip(found["code"], found["subject"], strict=True))


def test_an_accepted_file_is_told_its_lines_and_what_they_come_to(gateway: Gateway, frame: pd.DataFrame) -> None:
    name = gateway.send("acknowledgement", frame)
    digest = hashlib.sha256((gateway.agency.outbox / name).read_bytes()).hexdigest()
    gateway.collect()
    (whole,) = gateway.receipts()[-1].to_dict("records")
    assert (whole["file"], whole["sha256"], whole["outcome"]) == (name, digest, "accepted")
    assert (whole["lines"], whole["lines_refused"]) == ("6", "0")
    assert (whole["currency"], whole["total"]) == ("CNY", "6000.00")


def test_lines_that_are_refused_count_for_nothing_and_are_named_by_place(gateway: Gateway, frame: pd.DataFrame) -> None:
    frame.loc[1, "booked_on"] = "yesterday"
    frame.loc[4, "account"] = "A" + "0" * 26
    gateway.send("acknowledgement", frame)
    gateway.collect()
    receipt = gateway.receipts()[-1]
    whole, lines = receipt.iloc[0], receipt.iloc[1:]
    assert (whole["outcome"], whole["lines"], whole["lines_refused"]) == ("accepted_with_rejects", "6", "2")
    assert whole["total"] == "4000.00"
    told = lines[["table", "line", "column", "code"]].to_numpy().tolist()
    assert told == [["accounts", "2", "booked_on", "not_date"], ["accounts", "5", "account", "unknown_account"]]
    assert (lines["fix"] == lines["code"].map(CODES)).all()
    assert "yesterday" not in receipt.to_csv()


def test_a_file_in_two_currencies_has_a_total_for_each(gateway: Gateway, frame: pd.DataFrame) -> None:
    desk = gateway.world.desk
    with desk.database.write() as connection:
        connection.execute(exchange.PLACEMENTS.update().where(exchange.PLACEMENTS.c.placement_id == 101).values(
            currency="JPY"
        ))  # fmt: skip
    frame.loc[0, ["currency", "booked_balance"]] = ["JPY", "500"]
    control = {"field": "booked_balance", "sums": {"CNY": "5000.00", "JPY": "500"}}
    gateway.send("acknowledgement", frame, manifest={"control": control})
    gateway.collect()
    receipt = gateway.receipts()[-1]
    assert receipt[["currency", "total"]].to_numpy().tolist() == [["CNY", "5000.00"], ["JPY", "500"]]
    assert receipt["lines"].tolist()[0] == "6"
    assert receipt["lines"].isna().tolist() == [False, True]


def test_a_kind_without_money_has_no_total(gateway: Gateway, frame: pd.DataFrame) -> None:
    gateway.send("return", frame[["account", "currency"]].assign(
        reason="untraceable", returned_on="2026-01-09", final_balance="0.00"
    ))  # fmt: skip
    assert gateway.collect().accepted == 1
    (whole,) = gateway.receipts()[-1].to_dict("records")
    assert whole["lines"] == "6"
    assert whole["total"] != whole["total"]


def test_a_file_that_is_not_the_one_declared_is_put_aside_and_answered_once(
    gateway: Gateway, frame: pd.DataFrame
) -> None:
    name = gateway.send("acknowledgement", frame, sequence=1)
    sealed = gateway.agency.outbox / name
    (gateway.agency.outbox / f"{name}.done").write_text(f"{'0' * 64} {sealed.stat().st_size}\n")
    assert gateway.collect().refused == 1
    (whole,) = gateway.receipts()[-1].to_dict("records")
    assert (whole["file"], whole["outcome"], whole["code"]) == (name, "refused", "not_as_declared")
    assert whole["sha256"] != whole["sha256"]
    assert unresolved(gateway) == [("file_unfit", "file:1")]
    gateway.send("acknowledgement", frame, sequence=1)
    assert gateway.collect().accepted == 1
    assert gateway.files()["finding"].isna().all()  # what was never read has used no number up


def test_what_is_no_file_for_us_stays_where_it_is_and_is_answered_once(gateway: Gateway, frame: pd.DataFrame) -> None:
    gateway.send("acknowledgement", frame)
    hostile = gateway.agency.outbox / "\n13800138000.age"
    hostile.write_bytes(b"x")
    link = gateway.agency.outbox / "link.zip.age"
    link.symlink_to("/etc/hostname")
    big = gateway.agency.outbox / "harbour.quayside.return.20260110.000001.zip.age"
    with big.open("wb") as file:
        file.truncate(gateway.world.desk.settings.max_inbound_bytes + 1)
    took = gateway.collect()
    assert (took.accepted, took.ignored) == (1, 3)
    answers = {one["file"].iloc[0]: one["code"].iloc[0] for one in gateway.receipts()}
    assert sorted(code for code in answers.values() if isinstance(code, str)) == ["bad_name", "not_a_file", "too_large"]
    assert all(name.isprintable() for name in answers)
    for _ in range(2):
        gateway.collect()
    assert len(gateway.receipts()) == 4
    assert ("names_ignored", "drop:quayside") in unresolved(gateway)
    for path in (hostile, link, big):
        path.unlink()
    gateway.collect()
    assert ("names_ignored", "drop:quayside") not in unresolved(gateway)


def test_a_thousand_hostile_names_are_answered_by_a_few_receipts(gateway: Gateway) -> None:
    for number in range(200):
        (gateway.agency.outbox / f"-{number}.age").write_bytes(b"x")
    for _ in range(2):
        assert gateway.collect().ignored == 200
    assert len(gateway.receipts()) == inbound.IGNORED_ANSWERED
    with gateway.world.desk.database.read() as connection:
        number = int(exceptions.listed(connection, code="names_ignored")["exception_id"].iloc[0])
        assert exceptions.whole(connection, number)["detail"] == {"codes": ["bad_name:200"]}


def test_among_a_hundred_thousand_names_so_many_are_looked_at_and_somebody_is_told(gateway: Gateway) -> None:
    for number in range(100_000):
        os.close(os.open(gateway.agency.outbox / f"-{number}.age", os.O_CREAT))
    took = gateway.collect()
    assert took.ignored == gateway.world.desk.settings.max_names
    assert ("drop_overfull", "drop:quayside") in unresolved(gateway)
    for path in gateway.agency.outbox.glob("-*.age"):
        path.unlink()
    gateway.collect()
    assert ("drop_overfull", "drop:quayside") not in unresolved(gateway)


def test_a_fault_of_ours_is_somebodys_until_the_file_is_judged(
    gateway: Gateway, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    gateway.send("acknowledgement", frame)
    monkeypatch.setattr(inbound, "_opened", failing)
    with pytest.raises(ZeroDivisionError):
        gateway.collect()
    assert unresolved(gateway) == [("file_unjudged", "file:1")]
    monkeypatch.undo()
    gateway.collect()
    assert unresolved(gateway) == []
