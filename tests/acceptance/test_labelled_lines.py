"""A labelled month with every break planted: what the rules tie is right, what they leave has its right name."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from flows.reconcile import ReconcileReport, reconcile
from infra.sandbox.labelled import labelled
from infra.sandbox.planting import Brought, bring, open_lender
from infra.sandbox.truth import AS_OF, LENDER, Labelled
from infra.settings import Settings
from infra.store.bulk import read, table_of
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.reconcile.breaks import ABOUT
from models.tables import BankReceipt, Break, InvoiceLine, JournalLine, Match, MatchPart, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.acceptance
NOW = datetime(2026, 10, 1, 8, tzinfo=UTC)


@dataclass
class Reconciled:
    """A labelled month after it was reconciled, every row under its label."""

    month: Labelled
    report: ReconcileReport
    lines: pd.DataFrame
    receipts: pd.DataFrame
    parts: pd.DataFrame
    breaks: pd.DataFrame
    ledger: dict[str, int]
    contents: dict[str, dict[int, str]]
    """of lines and claims, by label"""

    def pairs(self, *statuses: str) -> set[tuple[int, int]]:
        """Labels of line and receipt that stand in one match of such a status."""
        some = self.parts[self.parts["status"].isin(statuses)]
        both = some[some["line"].notna()].merge(some[some["receipt"].notna()], on="match_id")
        return set(zip(both["line_x"].astype(int), both["receipt_y"].astype(int), strict=True))

    def undone(self) -> set[tuple[int, int]]:
        """Labels of lines that undid each other."""
        some = self.parts[(self.parts["rule"] == "reversal") & self.parts["line"].notna()]
        both = some.merge(some, on="match_id")
        both = both[both["amount_minor_x"] > both["amount_minor_y"]]
        return set(zip(both["line_x"].astype(int), both["line_y"].astype(int), strict=True))

    def named(self) -> Counter[tuple[str, str]]:
        """The breaks that are open, by code and content: what has one content is one another."""
        return Counter((code, self._content(of)) for code, of in self.found())

    def wanted(self) -> Counter[tuple[str, str]]:
        """The breaks that are right, likewise."""
        return Counter((code, self._content(of)) for code, of in self.month.breaks)

    def _content(self, of: str) -> str:
        kind, _, which = of.partition(":")
        if kind not in self.contents:
            return of
        return f"{kind}:{self.contents[kind][int(which)]}"

    def found(self) -> Iterator[tuple[str, str]]:
        """Code, and what it is about as the truth writes it."""
        row: Any
        for row in self.breaks.itertuples():
            _, kind, which = row.break_key.split(":", 2)
            if kind == "transfer":
                yield row.code, f"transfer:{which.split(':', 1)[1]}"
            elif kind == "placement":
                yield row.code, f"account:{which}"
            else:
                label = {"line": row.line, "receipt": row.receipt, "invoice_line": row.claim}[kind]
                yield row.code, f"{'claim' if kind == 'invoice_line' else kind}:{int(label)}"


def reconciled(month: Labelled, folder: Path, **cut: Any) -> Reconciled:
    """The month through a store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=folder / "home", database=f"sqlite:///{folder / 'store.sqlite'}", engine="direct")
    desk = Desk(settings, clock=lambda: NOW, actor="ann")
    settings.keyring_path.parent.mkdir(parents=True)
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    SQLModel.metadata.create_all(desk.database.engine)
    open_lender(desk, month)
    went = bring(desk, month, **cut)
    with seated(desk):
        report = reconcile(LENDER, AS_OF)
        before = rows(desk)
        again = reconcile(LENDER, AS_OF)
    assert (again.matches, again.breaks_opened) == (0, 0)
    assert all(one.equals(other) for one, other in zip(before, rows(desk), strict=True))
    result = read_back(desk, month, report, went)
    desk.database.close()
    return result


def rows(desk: Desk) -> list[pd.DataFrame]:
    tables = [table_of(row) for row in (RemittanceLine, BankReceipt, Match, MatchPart, Break)]
    with desk.database.read() as connection:
        return [read(connection, select(table).order_by(*table.primary_key.columns)) for table in tables]


def read_back(desk: Desk, month: Labelled, report: ReconcileReport, went: Brought) -> Reconciled:
    lines, receipts, matches, parts, breaks = rows(desk)
    lines = lines.merge(went.lines, on=["file_id", "line"], how="left")
    receipts = receipts.merge(went.receipts, on=["statement_id", "entry"], how="left")
    with desk.database.read() as connection:
        claims = read(connection, select(table_of(InvoiceLine)))
        legs = read(connection, select(table_of(JournalLine)))
    claims = claims.merge(went.claims, on=["file_id", "line"])
    label = {
        "line": lines.set_index("line_id")["label"], "receipt": receipts.set_index("receipt_id")["label"],
        "claim": claims.set_index("invoice_line_id")["label"],
    }  # fmt: skip
    parts = parts.merge(matches[["match_id", "rule", "status"]], on="match_id")
    parts["line"], parts["receipt"] = parts["line_id"].map(label["line"]), parts["receipt_id"].map(label["receipt"])
    breaks = breaks[breaks["state"] == "open"].copy()
    breaks["line"], breaks["receipt"] = breaks["line_id"].map(label["line"]), breaks["receipt_id"].map(label["receipt"])
    breaks["claim"] = breaks["invoice_line_id"].map(label["claim"])
    sums = legs.groupby("ledger")["amount_minor"].sum()
    ledger = {str(name): int(amount) for name, amount in sums.items()}
    own = lines.dropna(subset=["label"])
    claim = claims["account_id"].astype("str") + ":" + claims["base_minor"].astype("str")
    contents = {
        "line": dict(zip(own["label"].astype("int64"), own["content_id"], strict=True)),
        "claim": dict(zip(claims["label"], claim, strict=True)),
    }
    return Reconciled(month, report, lines, receipts, parts, breaks, ledger, contents)


def told(done: Reconciled) -> tuple[Any, ...]:
    """How everything ended, by content, and nothing of the ids that arrival gave."""
    lines = done.lines[["content_id", "state", "cash_minor", "why", "why_minor", "why_days", "why_count"]]
    receipts = done.receipts[["label", "state", "applied_minor", "why", "why_minor", "why_days", "why_count"]]
    return (
        sorted(lines.astype("object").astype("str").itertuples(index=False, name=None)),
        sorted(receipts.astype("object").astype("str").itertuples(index=False, name=None)),
        sorted(done.named().items()),
        done.ledger,
    )


@pytest.fixture(scope="module")
def month() -> Labelled:
    return labelled()


@pytest.fixture(scope="module")
def done(month: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Reconciled:
    return reconciled(month, tmp_path_factory.mktemp("labelled"))


def test_the_month_has_ten_thousand_lines_and_every_break_that_a_program_can_find(month: Labelled) -> None:
    assert len(month.lines) == 10_000
    assert {code for code, _ in month.breaks} == set(ABOUT)


def test_what_the_rules_tie_belongs_together_without_exception(done: Reconciled) -> None:
    true = set(zip(done.month.pairs["line"], done.month.pairs["receipt"], strict=True))
    content = done.contents["line"]
    # lines of one content are interchangeable
    same = {(content[line], receipt) for line, receipt in true}
    wrong = [pair for pair in done.pairs("confirmed") if (content[pair[0]], pair[1]) not in same]
    assert wrong == []
    assert done.undone() == done.month.undone


def test_hardly_a_line_whose_money_is_here_is_left(done: Reconciled) -> None:
    tied = {line for line, _ in done.pairs("confirmed")}
    matchable = done.month.matchable
    missing = done.month.lines[done.month.lines["label"].isin(matchable - tied)]
    assert len(missing) <= len(matchable) * 0.005, missing["plant"].value_counts().to_dict()


def test_every_break_stands_under_its_right_code_and_no_other_does(done: Reconciled) -> None:
    found, wanted = done.named(), done.wanted()
    assert dict(Counter(code for code, _ in found.elements()).items()) == dict(
        Counter(code for code, _ in wanted.elements())
    )
    assert found == wanted


def test_whatever_is_open_says_why(done: Reconciled) -> None:
    waits = done.lines[done.lines["state"].isin(["awaiting_cash", "part_matched"])]
    assert waits["why"].notna().all()
    unexplained = done.receipts[done.receipts["state"].isin(["unapplied", "part_matched"])]
    assert unexplained["why"].notna().all()
    assert done.lines.loc[done.lines["state"] == "matched", "why"].isna().all()
    assert all(json.loads(detail) is not None for detail in done.breaks["detail"])


@pytest.mark.slow
@pytest.mark.parametrize(("files", "seed"), [(1, 3), (4, 5)])
def test_shuffled_and_cut_files_end_the_same(done: Reconciled, tmp_path: Path, files: int, seed: int) -> None:
    again = reconciled(done.month, tmp_path, files=files, shuffle=seed)
    assert told(again) == told(done)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_other_months_do_as_well(tmp_path: Path, seed: int) -> None:
    done = reconciled(labelled(2_000, seed), tmp_path, files=2, shuffle=seed)
    test_what_the_rules_tie_belongs_together_without_exception(done)
    test_hardly_a_line_whose_money_is_here_is_left(done)
    test_every_break_stands_under_its_right_code_and_no_other_does(done)
