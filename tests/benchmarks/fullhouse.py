"""A store of a house at full size, from frames: a million accounts with agencies, and their money half reconciled.

Synthetic throughout, and without identities: what the console shows masked is not needed to time it. The same rows and
seed give the same store. Run as a program, so that what filling takes is not the measured process's:
`fullhouse.py HOME ACCOUNTS BREAKS`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from infra.sandbox.world import settings_of
from infra.store import bulk, schema
from infra.wiring import Desk
from models.reconcile.breaks import ABOUT
from models.tables import (
    Account,
    Agency,
    AgencyContract,
    BankReceipt,
    BankStatement,
    Break,
    Debtor,
    IdCounter,
    Lender,
    Match,
    MatchPart,
    Placement,
    Plan,
    PlanLine,
    Portfolio,
    RemittanceLine,
    Resolution,
)
from tests.benchmarks import fullrecords

LENDER: Final = "harbour"
TODAY: Final = date(2026, 11, 22)
NOW: Final = datetime(2026, 11, 22, 3, tzinfo=UTC)
SEED: Final = 20261122
AT_ONCE: Final = 100_000
AGENCIES: Final = {
    "harbour-rec": "Harbour Recoveries", "hengxin": "恒信资产", "lotus": "Lotus Credit", "quayside": "Quayside",
    "northgate": "Northgate", "dingsheng": "鼎盛法务", "meridian": "Meridian", "ruida": "瑞达催收",
}  # fmt: skip
TERMS: Final = """
currency = "CNY"
vat_rate = "0.06"
late_days = 5
tolerance_minor = 100
payer_accounts = ["A"]

[[tier]]
rate = "0.2"
"""
LINES_PER_BREAK: Final = 3
SHARES: Final = {"open": 0.18, "proposed": 0.09, "to_approve": 0.03, "matched": 0.66, "written_off": 0.04}
"""Of all breaks, as in a house that has worked for a year."""
PEOPLE: Final = ("chen.yu", "m.rossi", "l.wang", "j.okafor", None, None, None)


@dataclass(frozen=True)
class Sizes:
    """How much of each."""

    accounts: int = 1_000_000
    breaks: int = 100_000

    @property
    def lines(self) -> int:
        """Remittance lines: most of them matched without anybody's help."""
        return self.breaks * LINES_PER_BREAK


def fill(desk: Desk, sizes: Sizes) -> None:
    """The store has a house of that size in it, schema included."""
    schema.ensure(desk.database)
    rng = np.random.default_rng(SEED)
    with desk.database.write() as connection:
        bulk.append(connection, Lender, pd.DataFrame([
            {"lender": LENDER, "name": "Harbour Bank", "country": "CN", "timezone": "Asia/Shanghai", "rule_packs": "",
             "created_at": pd.Timestamp(NOW)}
        ]))  # fmt: skip
        bulk.append(connection, Agency, _agencies())
        bulk.append(connection, AgencyContract, _contracts())
        bulk.append(connection, Portfolio, _portfolios(sizes.accounts))
        for first in range(0, sizes.accounts, AT_ONCE):
            _accounts(connection, rng, first, min(AT_ONCE, sizes.accounts - first))
        bulk.append(connection, Plan, _plan(sizes.accounts))
        _money(connection, rng, sizes)
        fullrecords.add(connection, rng, sizes.accounts, LENDER, [*AGENCIES])
        _counters(connection, sizes)
    desk.database.look_at_tables()


def _agencies() -> pd.DataFrame:
    return pd.DataFrame([
        {"agency": code, "name": name, "state": "live", "drop": '{"kind": "folder"}', "capacity_accounts": 200_000,
         "created_at": pd.Timestamp(NOW)}
        for code, name in AGENCIES.items()
    ])  # fmt: skip


def _contracts() -> pd.DataFrame:
    return pd.DataFrame([
        {"agency": code, "lender": LENDER, "effective_from": pd.Timestamp(2026, 1, 1), "terms": TERMS,
         "sha256": "0" * 64, "created_by": "bench", "created_at": pd.Timestamp(NOW), "share": 1 / len(AGENCIES)}
        for code in AGENCIES
    ])  # fmt: skip


def _portfolios(accounts: int) -> pd.DataFrame:
    return pd.DataFrame([
        {"portfolio_id": number + 1, "lender": LENDER, "profile": "consign", "source": f"part-{number + 1}.csv",
         "source_sha256": f"{number:064x}", "as_of": pd.Timestamp(TODAY), "received_at": pd.Timestamp(NOW),
         "rows_read": count, "rows_accepted": count, "rows_refused": 0, "rows_new": count, "currency": "CNY",
         "balance_minor": count * 800_000}
        for number, first in enumerate(range(0, accounts, AT_ONCE))
        for count in [min(AT_ONCE, accounts - first)]
    ])  # fmt: skip


def _accounts(connection: Any, rng: np.random.Generator, first: int, count: int) -> None:
    """Accounts, each of a debtor of its own, and placed: nine in ten are with an agency now."""
    ids = np.arange(first + 1, first + 1 + count, dtype=np.int64)
    code = pd.Series(ids).astype("str").str.zfill(63)
    bulk.append(connection, Debtor, pd.DataFrame({
        "debtor_id": ids, "lender": LENDER, "identity_index": "d" + code, "created_at": pd.Timestamp(NOW),
    }))  # fmt: skip
    dpd = rng.integers(1, 400, count)
    balance = rng.integers(50_000, 2_000_000, count)
    bucket = pd.Series(np.minimum(dpd // 30 + 1, 7)).astype("str")
    bulk.append(connection, Account, pd.DataFrame({
        "account_id": ids, "lender": LENDER, "ref_index": "a" + code, "debtor_id": ids,
        "portfolio_id": first // AT_ONCE + 1, "product": _chosen(rng, ["card", "loan", "bnpl"], count),
        "currency": "CNY", "balance_minor": balance, "dpd": dpd, "bucket": "M" + bucket,
        "region": _chosen(rng, ["110000", "310000", "440300"], count),
        "as_of": pd.Timestamp(TODAY), "rounds": 1,
    }))  # fmt: skip
    agency = _chosen(rng, [*AGENCIES], count)
    state = _chosen(rng, ["placed"] * 2 + ["acknowledged"] * 7 + ["closed"], count)
    placed_on = pd.Timestamp(TODAY) - pd.to_timedelta(rng.integers(1, 150, count), unit="D")
    bulk.append(connection, Placement, pd.DataFrame({
        "placement_id": ids, "plan_id": 1, "lender": LENDER, "agency": agency, "account_id": ids, "debtor_id": ids,
        "round": 1, "stage": "phone", "segment": "S" + bucket, "currency": "CNY", "balance_minor": balance, "dpd": dpd,
        "bucket": "M" + bucket, "placed_on": placed_on, "due_back_on": placed_on + pd.Timedelta(days=180),
        "state": state,
    }))  # fmt: skip
    bulk.append(connection, PlanLine, pd.DataFrame({
        "plan_id": 1, "account_id": ids, "debtor_id": ids, "agency": agency, "segment": "S" + bucket,
        "balance_minor": balance, "dpd": dpd, "bucket": "M" + bucket, "round": 1, "why": "share",
    }))  # fmt: skip


def _plan(accounts: int) -> pd.DataFrame:
    return pd.DataFrame([{
        "plan_id": 1, "lender": LENDER, "name": "2026-11-B", "state": "placed", "policy": "bench",
        "policy_version": "1", "policy_sha256": "0" * 64, "seed": SEED, "spec": '{"filter": {}}',
        "summary": _summary(accounts), "inputs_sha256": "0" * 64,
        "content_sha256": "0" * 64, "accounts": accounts, "balance_minor": accounts * 800_000, "currency": "CNY",
        "as_of": pd.Timestamp(TODAY), "term_days": 180, "created_by": "bench", "created_at": pd.Timestamp(NOW),
    }])  # fmt: skip


def _summary(accounts: int) -> str:
    """A preview of as many agencies and segments as a large plan has."""
    part = accounts // len(AGENCIES)
    rows = [
        {"agency": code, "name": name, "accounts": part, "debtors": part, "balance_minor": part * 800_000,
         "difference": None, "share_asked": 1 / len(AGENCIES), "share_achieved": 1 / len(AGENCIES),
         "held_accounts": 0, "capacity_accounts": 200_000, "held_minor": 0, "capacity_minor": None,
         "capacity_used": part / 200_000, "plan_cap": None, "why": ["share 16.7%"]}
        for code, name in AGENCIES.items()
    ]  # fmt: skip
    segments = [
        {"segment": f"card/M{number % 6 + 1}/{number}", "accounts": accounts // 200, "balance_minor": accounts * 4_000,
         "agencies": dict.fromkeys(AGENCIES, accounts // 1_200)}
        for number in range(200)
    ]  # fmt: skip
    return json.dumps({
        "lender": LENDER, "stage": "phone", "allocator": "shares", "currency": "CNY", "accounts": accounts,
        "debtors": accounts, "balance_minor": accounts * 800_000, "held_back": 0, "exclusions": {}, "agencies": rows,
        "segments": segments, "left_out": {}, "last_plan": None, "disclosed": [], "warnings": [],
    })  # fmt: skip


def _money(connection: Any, rng: np.random.Generator, sizes: Sizes) -> None:
    """Lines, receipts, matches, and breaks on the first lines and receipts of each."""
    number = np.arange(sizes.lines, dtype=np.int64)
    days = np.minimum(rng.exponential(45, sizes.lines).astype(np.int64), 360)
    value_date = pd.Series(pd.Timestamp(TODAY) - pd.to_timedelta(days, unit="D")).dt.as_unit("us")
    net = rng.integers(5_000, 900_000, sizes.lines)
    agency = _chosen(rng, [*AGENCIES], sizes.lines)
    stage = np.full(sizes.lines, "fits", dtype=object)
    ends = np.cumsum([round(share * sizes.breaks) for share in SHARES.values()])
    for name, first, last in zip(SHARES, [0, *ends], ends, strict=False):
        stage[first:last] = name
    is_open = np.isin(stage, ["open", "proposed", "to_approve"])
    told = pd.Series(number).astype("str")
    line = pd.DataFrame({
        "line_id": number + 1, "content_id": pd.Series(number).map("{:032x}".format), "file_id": number // 5_000 + 1,
        "line": number % 5_000 + 1, "lender": LENDER, "agency": agency,
        "placement_id": number % sizes.accounts + 1, "account_id": number % sizes.accounts + 1,
        "txn_ref": "RCV-" + value_date.dt.strftime("%y%m").astype("str") + "-" + told.str.zfill(6),
        "batch_ref": "B" + value_date.dt.strftime("%Y%m%d").astype("str"), "gross_minor": net, "net_minor": net,
        "due_commission_minor": net // 5, "due_vat_minor": net // 80, "currency": "CNY", "value_date": value_date,
        "state": np.where(is_open, "awaiting_cash", np.where(stage == "written_off", "written_off", "matched")),
        "cash_minor": np.where(is_open | (stage == "written_off"), 0, net),
        "why": _said("no_receipt_names_it", is_open), "posted_at": pd.Timestamp(NOW),
    })  # fmt: skip
    for first in range(0, sizes.lines, AT_ONCE):
        bulk.append(connection, RemittanceLine, line.iloc[first : first + AT_ONCE])
    bulk.append(connection, BankStatement, pd.DataFrame([
        {"statement_id": 1, "sha256": "0" * 64, "lender": LENDER, "source": "bench.xml", "bank_account": "CN000001",
         "currency": "CNY", "entries": sizes.lines, "imported_at": pd.Timestamp(NOW)}
    ]))  # fmt: skip
    off = np.where(stage == "proposed", rng.integers(-60_000, 60_000, sizes.lines), 0)
    unpaid = np.isin(stage, ["open", "to_approve"]) & (number % 2 == 0)
    receipt = pd.DataFrame({
        "receipt_id": number + 1, "statement_id": 1, "entry": number + 1, "lender": LENDER, "agency": agency,
        "amount_minor": net + off, "currency": "CNY", "booked_on": value_date, "value_date": value_date,
        "reference": "PAY" + pd.Series(number).astype("str").str.zfill(7),
        "state": np.where(is_open, "unapplied", "matched"), "applied_minor": np.where(is_open, 0, net),
        "why": _said("unknown_reference", is_open),
    })[~unpaid]  # fmt: skip
    for first in range(0, len(receipt), AT_ONCE):
        bulk.append(connection, BankReceipt, receipt.iloc[first : first + AT_ONCE])
    tied = ~is_open | (stage == "proposed")
    _matches(connection, line[tied], receipt.set_index("receipt_id"), stage[tied] == "proposed")
    _breaks(connection, rng, line.iloc[: ends[-1]].reset_index(drop=True), stage[: ends[-1]], off[: ends[-1]])


def _matches(connection: Any, line: pd.DataFrame, receipt: pd.DataFrame, proposed: Any) -> None:
    ids = line["line_id"].to_numpy()
    bulk.append(connection, Match, pd.DataFrame({
        "match_id": ids, "rule": np.where(proposed, "near", "exact"),
        "status": np.where(proposed, np.where(ids % 5 == 0, "ambiguous", "suggested"), "confirmed"), "lender": LENDER,
        "agency": line["agency"].to_numpy(), "currency": "CNY", "amount_minor": line["net_minor"].to_numpy(),
        "made_at": pd.Timestamp(NOW),
    }))  # fmt: skip
    none = pd.array([pd.NA] * len(ids), dtype="Int64")
    for side, amount, place in (
        ("line_id", line["net_minor"], 0), ("receipt_id", receipt.loc[ids, "amount_minor"], len(ids)),
    ):  # fmt: skip
        part = pd.DataFrame({"part_id": np.arange(len(ids)) + place + 1, "match_id": ids, "line_id": none,
                             "receipt_id": none, "amount_minor": amount.to_numpy()})  # fmt: skip
        part[side] = pd.array(ids, dtype="Int64")
        bulk.append(connection, MatchPart, part)


def _breaks(connection: Any, rng: np.random.Generator, line: pd.DataFrame, stage: Any, off: Any) -> None:
    count = len(line)
    ids = line["line_id"].to_numpy()
    codes = [code for code in ABOUT if code not in {"ambiguous", "overpayment"}]
    of_receipt = (stage == "open") & (ids % 4 == 0)
    code = np.where(
        stage == "proposed",
        "amount_diff",
        np.where(of_receipt, "no_line", _chosen(rng, ["no_receipt"] * 8 + codes, count)),
    )
    size = np.where(stage == "proposed", off, line["net_minor"])
    opened = pd.Series(line["value_date"]).dt.tz_localize("UTC") + pd.to_timedelta(
        rng.integers(1, 86_400, count), unit="s"
    )
    closed = ~np.isin(stage, ["open", "proposed", "to_approve"])
    because = _said("tied by a later match", stage == "matched").fillna(_said("written off", stage == "written_off"))
    none = pd.array([pd.NA] * count, dtype="Int64")
    detail = [
        json.dumps({"expected_minor": int(whole), "found_minor": int(whole + part)}) if kind == "proposed" else "{}"
        for whole, part, kind in zip(line["net_minor"], off, stage, strict=True)
    ]
    frame = pd.DataFrame({
        "break_id": ids, "break_key": pd.Series(code).astype("str") + ":line:" + pd.Series(ids).astype("str"),
        "code": code, "state": np.where(closed, "closed", "open"), "lender": LENDER, "agency": line["agency"],
        "line_id": pd.array(ids, dtype="Int64"), "receipt_id": none,
        "account_id": line["account_id"].astype("Int64"),
        "amount_minor": size, "size_minor": np.abs(size), "currency": "CNY", "opened_at": opened.dt.as_unit("us"),
        "closed_at": pd.Series(pd.Timestamp(NOW), index=line.index).where(pd.Series(closed)),
        "closed_because": because,
        "owner": pd.Series(_chosen(rng, list(PEOPLE), count), dtype="str"),
        "detail": pd.Series(detail, dtype="str"),
    })  # fmt: skip
    frame.loc[of_receipt, "receipt_id"] = ids[of_receipt]
    frame.loc[of_receipt, "line_id"] = pd.NA
    bulk.append(connection, Break, frame)
    waits = stage == "to_approve"
    bulk.append(connection, Resolution, pd.DataFrame({
        "kind": "write_off", "state": "waiting", "lender": LENDER, "agency": line.loc[waits, "agency"],
            "currency": "CNY",
        "amount_minor": line.loc[waits, "net_minor"], "reason": "uneconomic", "body": [
            json.dumps({"line": int(one), "receipt": None, "amount_minor": int(minor),
                        "was": {"lines": [[int(one), "awaiting_cash", int(minor)]], "receipts": []}})
            for one, minor in zip(ids[waits], line.loc[waits, "net_minor"], strict=True)
        ],
        "sha256": [f"{one:064x}" for one in ids[waits]], "break_id": ids[waits], "others": 1, "limits_version": "1",
        "proposed_by": "m.rossi", "proposed_at": pd.Timestamp(NOW - timedelta(days=2)),
    }))  # fmt: skip


def _counters(connection: Any, sizes: Sizes) -> None:
    """Whoever adds a row draws a number that is free."""
    most = max(sizes.accounts, sizes.lines * 2) + 1
    names = ("match", "match_part", "break", "account", "debtor", "placement", "plan", "portfolio", "remittance_line",
             "bank_receipt", "bank_statement", "transmission", "inbound_file")  # fmt: skip
    bulk.append(connection, IdCounter, pd.DataFrame({"name": names, "next_id": most}))


def _said(word: str, where: Any) -> pd.Series:
    """The word where it holds, and nothing elsewhere."""
    return pd.Series(word, index=range(len(where)), dtype="str").where(pd.Series(where))


def _chosen(rng: np.random.Generator, words: list[Any], count: int) -> Any:
    return np.array(words, dtype=object)[rng.integers(0, len(words), count)]


if __name__ == "__main__":
    at = Desk(settings_of(Path(sys.argv[1])), clock=lambda: NOW, actor="bench")
    began = time.perf_counter()
    fill(at, Sizes(int(sys.argv[2]), int(sys.argv[3])))
    if at.settings.keyring_path.exists():
        for code in AGENCIES:
            at.keyring.rotate("pseudonym", code, NOW, valid_days=365)
    sys.stdout.write(f"filled in {time.perf_counter() - began:.0f} s\n")
    at.database.close()
