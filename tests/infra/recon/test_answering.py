"""An agency learns what became of its invoice: agreed or disputed, why, and once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import update

from infra.packages import Composing, contents_of
from infra.store import answers, exchange
from models.kinds import KINDS
from models.tables import InvoiceLine, Transmission

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books


@pytest.fixture
def reachable(stating: Books) -> Books:
    """Alpha has a folder that files to it go to."""
    drop = f'{{"kind": "folder", "root": "{stating.folder}"}}'
    with stating.database.write() as connection:
        connection.execute(update(exchange.AGENCIES).values(drop=drop, state="live"))
    return stating


def claim(ref: str, commission: int, vat: int, gross: int = 10_000) -> dict[str, Any]:
    return {
        "agency_txn_id": ref,
        "account_id": 1,
        "base_minor": gross,
        "commission_minor": commission,
        "vat_minor": vat,
    }


def told(books: Books, transmission_id: int) -> list[dict[str, Any]]:
    """What the package holds, as it is composed for the agency."""
    with books.database.read() as connection:
        row = exchange.transmission(connection, transmission_id)
        agency = exchange.agency(connection, "alpha")
        contents = contents_of(Composing(connection, books.desk.keyring, row, agency, 2))
        frame = pd.concat(list(contents.frames), ignore_index=True)
    assert list(contents.fields) == list(KINDS["invoice_answer"].fields)
    assert {field.column for field in contents.fields} <= set(frame.columns)
    return [{str(name): cell for name, cell in one.items()} for one in frame.sort_values("line").to_dict("records")]


def test_each_claim_is_agreed_or_disputed_with_what_is_due_and_told_once(reachable: Books) -> None:
    reachable.remit("alpha", [{"gross_minor": 10_000, "agency_txn_id": ref} for ref in ("T1", "T2", "T3", "T4")])
    claims = [claim("T1", 1_000, 60), claim("T2", 1_100, 66), claim("T3", 1_000, 61), claim("T9", 500, 30)]
    reachable.invoice("alpha", claims)
    reachable.reconcile()
    (answer,) = reachable.table(Transmission).to_dict("records")
    assert answer["kind"] == "invoice_answer"
    lines = told(reachable, answer["transmission_id"])
    assert [(one["outcome"], one["reason"] if one["outcome"] == "disputed" else None) for one in lines] == [
        ("agreed", None), ("disputed", "commission_and_vat"), ("disputed", "vat"), ("disputed", "nothing_recovered"),
    ]  # fmt: skip
    assert [one["due_commission_minor"] for one in lines] == [1_000, 1_000, 1_000, 0]
    assert all(one["account"].isalnum() and one["account"] != "1" for one in lines)
    reachable.reconcile()
    assert len(reachable.table(Transmission)) == 1


def test_what_was_disputed_for_want_of_its_remittance_is_answered_anew_when_that_comes(reachable: Books) -> None:
    reachable.invoice("alpha", [claim("T1", 1_000, 60)])
    reachable.reconcile()
    reachable.remit("alpha", [{"gross_minor": 10_000, "agency_txn_id": "T1"}])
    reachable.reconcile()
    first, second = reachable.table(Transmission)["transmission_id"]
    assert reachable.table(InvoiceLine)["answered_as"].tolist() == ["agreed"]
    assert [one["outcome"] for one in told(reachable, second)] == ["agreed"]
    assert first != second


def test_an_agency_that_cannot_be_reached_is_answered_when_it_can(stating: Books) -> None:
    stating.remit("alpha", [{"gross_minor": 10_000, "agency_txn_id": "T1"}])
    stating.invoice("alpha", [claim("T1", 1_000, 60)])
    stating.reconcile()
    assert stating.table(Transmission).empty
    with stating.database.read() as connection:
        assert answers.waiting(connection, stating.lender, "alpha") == 1
