"""The rest of a full-size house: what was exchanged, recalled and erased, who complained, and a long audit trail.

Rows as the flows write them, without the files that they speak of; the trail's hashes are numbers, and do not verify.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import func, select

from infra.store import bulk
from models.tables import (
    AuditEvent,
    Breach,
    Complaint,
    Disclosure,
    Erasure,
    Hold,
    InboundFile,
    Recall,
    Statement,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY: Final = date(2026, 11, 22)
NOW: Final = datetime(2026, 11, 22, 3, tzinfo=UTC)
ACCOUNTS_PER_RECALL: Final = 50
"""Of so many accounts one was recalled; as many are on hold, and were erased."""
ACCOUNTS_PER_FILE: Final = 250
FIELDS_PER_FILE: Final = 20
ACCOUNTS_PER_BREACH: Final = 50
ACCOUNTS_PER_COMPLAINT: Final = 200
AT_ONCE: Final = 100_000


def add(connection: Any, rng: np.random.Generator, accounts: int, lender: str, agencies: Sequence[str]) -> None:
    """The records of a year: as many events of the trail as accounts."""
    _holds(connection, rng, accounts)
    _recalls(connection, rng, accounts, agencies)
    _files(connection, rng, accounts, lender, agencies)
    _conduct(connection, rng, accounts, lender, agencies)
    _statements(connection, lender, agencies)
    _trail(connection, rng, accounts)


def _chosen(rng: np.random.Generator, words: Sequence[Any], count: int) -> Any:
    return np.array(words, dtype=object)[rng.integers(0, len(words), count)]


def _days_ago(rng: np.random.Generator, most: int, count: int) -> pd.Series:
    ago = pd.Series(pd.Timestamp(TODAY) - pd.to_timedelta(rng.integers(0, most, count), unit="D"))
    return ago.dt.as_unit("us")


def _instants(rng: np.random.Generator, most: int, count: int) -> pd.Series:
    ago = pd.Series(pd.Timestamp(NOW) - pd.to_timedelta(rng.integers(0, most * 86_400, count), unit="s"))
    return ago.dt.as_unit("us")


def _holds(connection: Any, rng: np.random.Generator, accounts: int) -> None:
    ids = np.arange(1, accounts, ACCOUNTS_PER_RECALL) + 1
    lifted = _instants(rng, 60, len(ids)).where(pd.Series(rng.random(len(ids)) < 0.5))
    bulk.append(connection, Hold, pd.DataFrame({
        "debtor_id": ids, "account_id": ids, "reason": _chosen(rng, ["complaint", "dispute", "insolvent"], len(ids)),
        "since": _days_ago(rng, 200, len(ids)), "placed_by": "chen.yu", "lifted_at": lifted,
    }))  # fmt: skip


def _recalls(connection: Any, rng: np.random.Generator, accounts: int, agencies: Sequence[str]) -> None:
    """Of placements, evenly: three of four confirmed, and of these the data were asked to be erased."""
    ids = np.arange(0, accounts, ACCOUNTS_PER_RECALL) + 1
    agency = _chosen(rng, agencies, len(ids))
    asked = _days_ago(rng, 120, len(ids))
    confirmed = pd.Series(rng.random(len(ids)) < 0.75)
    bulk.append(connection, Recall, pd.DataFrame({
        "placement_id": ids, "agency": agency, "reason": _chosen(rng, ["paid", "term", "complaint"], len(ids)),
        "requested_on": asked, "due_on": asked + pd.Timedelta(days=5), "requested_by": "chen.yu",
        "confirmed_on": (asked + pd.Timedelta(days=3)).where(confirmed),
    }))  # fmt: skip
    erased = confirmed.to_numpy()
    done = pd.Series(rng.random(int(erased.sum())) < 0.8)
    asked = asked[erased].reset_index(drop=True)
    at = (asked.dt.tz_localize("UTC") + pd.Timedelta(days=9)).where(done)
    bulk.append(connection, Erasure, pd.DataFrame({
        "placement_id": ids[erased], "agency": agency[erased], "requested_on": asked,
        "due_on": asked + pd.Timedelta(days=30), "erased_at": at, "verified_at": at,
        "method": pd.Series("overwritten", index=done.index, dtype="str").where(done),
        "certified_by": pd.Series("dpo", index=done.index, dtype="str").where(done),
    }))  # fmt: skip


def _files(connection: Any, rng: np.random.Generator, accounts: int, lender: str, agencies: Sequence[str]) -> None:
    """Files to the agencies and from them, and what each of ours disclosed."""
    count = accounts // ACCOUNTS_PER_FILE
    number = np.arange(count)
    agency = np.array(agencies, dtype=object)[number % len(agencies)]
    at = pd.Series(pd.Timestamp(NOW) - pd.to_timedelta((count - number) * 0.5, unit="h")).dt.as_unit("us")
    sequence = number // len(agencies) + 1
    name = pd.Series(
        [f"{lender}.{code}.placement.{nth:06d}.zip.age" for code, nth in zip(agency, sequence, strict=True)]
    )
    delivered = pd.Series(number < count - 20)
    bulk.append(connection, Transmission, pd.DataFrame({
        "transmission_id": number + 1, "work_key": "bench:" + pd.Series(number).astype("str"), "lender": lender,
        "agency": agency, "kind": "placement", "sequence": sequence, "name": name,
        "state": np.where(delivered, "acknowledged", "sealed"), "prepared_on": at.dt.tz_localize(None).dt.normalize(),
        "rows": ACCOUNTS_PER_FILE, "sealed_sha256": [f"{one:064x}" for one in number], "sealed_size": 40_000,
        "sealed_at": at, "delivered_at": at.where(delivered), "acknowledged_at": at.where(delivered), "attempts": 1,
    }))  # fmt: skip
    refused = pd.Series(rng.random(count) < 0.02)
    code = pd.Series("control_sum", index=number, dtype="str")
    bulk.append(connection, InboundFile, pd.DataFrame({
        "file_id": number + 1, "agency": agency, "lender": lender, "kind": "remittance", "sequence": sequence,
        "name": [f"{lender}.{who}.remittance.{nth:06d}.zip.age" for who, nth in zip(agency, sequence, strict=True)],
        "state": np.where(refused, "refused", "accepted"), "sealed_sha256": [f"{one:064x}" for one in number],
        "sealed_size": 20_000, "stored_path": "bench", "rows": 120, "rows_refused": 0,
        "refusal_code": code.where(refused), "received_at": at, "accepted_at": at.where(~refused),
    }))  # fmt: skip
    each = np.repeat(number, FIELDS_PER_FILE)
    field = np.tile(np.array([f"field_{nth:02d}" for nth in range(FIELDS_PER_FILE)], dtype=object), count)
    when = at.repeat(FIELDS_PER_FILE).reset_index(drop=True)
    for first in range(0, len(each), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        bulk.append(connection, Disclosure, pd.DataFrame({
            "transmission_id": each[part] + 1, "agency": agency[each[part]], "field": field[part],
            "treatment": "plain", "value_class": "financial", "purpose": "collection", "basis": "contract",
            "policy": "cn-default", "policy_version": "1", "rows": ACCOUNTS_PER_FILE,
            "disclosed_at": when.iloc[part].reset_index(drop=True),
            "erase_by": pd.Timestamp(TODAY + timedelta(days=180)),
        }))  # fmt: skip


def _conduct(connection: Any, rng: np.random.Generator, accounts: int, lender: str, agencies: Sequence[str]) -> None:
    count = accounts // ACCOUNTS_PER_BREACH
    at = _instants(rng, 365, count)
    number = np.arange(count)
    bulk.append(connection, Breach, pd.DataFrame({
        "breach_id": number + 1, "pack": "cn", "pack_version": "2026.1", "clause": "Art. 1", "counter": "hours",
        "rule_id": _chosen(rng, ["GBT45251-hours", "CBA2026-hours", "GBT45251-calls"], count),
        "severity": _chosen(rng, ["serious", "normal", "low"], count),
        "evidence": "activity:1:" + pd.Series(number).astype("str"), "agency": _chosen(rng, agencies, count),
        "lender": lender, "file_id": 1, "line": number + 1, "placement_id": number % accounts + 1,
        "debtor_id": number % accounts + 1, "at": at, "zone": "Asia/Shanghai", "run_id": 1, "found_at": at,
        "state": _chosen(rng, ["open", "upheld", "dismissed", "dismissed"], count),
    }))  # fmt: skip
    count = accounts // ACCOUNTS_PER_COMPLAINT
    number = np.arange(count)
    came = _days_ago(rng, 365, count)
    closed = pd.Series(rng.random(count) < 0.66)
    at = came.dt.tz_localize("UTC") + pd.Timedelta(days=9)
    bulk.append(connection, Complaint, pd.DataFrame({
        "complaint_id": number + 1, "agency": _chosen(rng, agencies, count), "lender": lender,
        "complaint_ref": "C" + pd.Series(number).astype("str"), "placement_id": number % accounts + 1,
        "received_on": came, "due_on": came + pd.Timedelta(days=15),
        "category": _chosen(rng, ["conduct", "privacy", "amount"], count),
        "severity": _chosen(rng, ["serious", "normal"], count),
        "state": np.where(closed, "closed", "open"), "closed_at": at.where(closed),
        "outcome": pd.Series("dismissed", index=number, dtype="str").where(closed),
        "closed_by": pd.Series("sun.li", index=number, dtype="str").where(closed),
    }))  # fmt: skip


def _statements(connection: Any, lender: str, agencies: Sequence[str]) -> None:
    rows = [
        {"lender": lender, "agency": code, "period": f"2026-{month:02d}", "currency": "CNY", "lines": 3_000,
         "gross_minor": 9_000_000, "commission_minor": 1_800_000, "vat_minor": 108_000, "net_minor": 7_092_000,
         "closing_minor": 0, "late_lines": 0, "csv_path": "a.csv", "xlsx_path": "a.xlsx", "pdf_path": "a.pdf",
         "sha256": "0" * 64, "xlsx_sha256": "0" * 64, "pdf_sha256": "0" * 64, "made_at": pd.Timestamp(NOW)}
        for code in agencies
        for month in range(1, 11)
    ]  # fmt: skip
    bulk.append(connection, Statement, pd.DataFrame(rows))


def _trail(connection: Any, rng: np.random.Generator, events: int) -> None:
    seqs = bulk.table_of(AuditEvent).c.seq
    before = int(connection.execute(select(func.coalesce(func.max(seqs), 0))).scalar_one())
    actions = ["file.accepted", "file.delivered", "match.confirmed", "placement.closed", "identity.shown"]
    for first in range(0, events, AT_ONCE):
        count = min(AT_ONCE, events - first)
        number = np.arange(first + 1, first + 1 + count)
        seq = before + number  # behind what setting up the house put on record
        at = pd.Series(pd.Timestamp(NOW) - pd.to_timedelta((events - number) * 20, unit="s")).dt.as_unit("us")
        code = pd.Series(seq).astype("str").str.zfill(64)
        bulk.append(connection, AuditEvent, pd.DataFrame({
            "seq": seq, "at": at, "actor": _chosen(rng, ["chen.yu", "m.rossi", "consign"], count),
            "action": _chosen(rng, actions, count), "subject": "file:" + pd.Series(seq // 5).astype("str"),
            "details": json.dumps({"rows": 100}), "previous_hash": code, "hash": code,
        }))  # fmt: skip
