"""Intake: a lender's portfolio comes in, checked line by line; facts in clear columns, identities sealed.

One transaction holds everything that must agree: accounts, debtors, sealed identities, the portfolio and the audit
event. Killed anywhere, nothing has happened (a data key that no row names may be left in the keyring: harmless), and
the same command run again ends as if it had not been.

- The same source, profile, lender and day again is a no-op.
- Where more lines are refused than the threshold allows, nothing comes in; the refusals are reported all the same.
- A newer snapshot updates the accounts it speaks of. An account that it does not speak of stays as it is: a missing
  line never means anything. An older snapshot never overwrites a newer one.
- A newer snapshot replaces the sealed identity too, under its own data key, so that corrections flow in. The account
  stays with its debtor even where the ID number is another: holds and placements hang on the debtor, and a person
  looks at the warning `identity_changed` first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.portfolio import HeldFile, mapped, open_source
from flows.engine import verb
from infra import audit, profiles, uploads
from infra.consolidation import refresh
from infra.indexes import erased_marks, identity_index, linkage_pseudonyms, ref_index, telephone_indexes
from infra.store import bulk, portfolios, shredding
from infra.store.consolidation import held as holds_basis
from infra.wiring import Desk, desk
from models.errors import UsageError
from models.intake import rules
from models.intake.fields import IDENTITY
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    from sqlalchemy import Connection

    from connectors.portfolio import Chunk, Profile, Source
    from keys.vault import DataKey, RowKeys

_PRIVATE: Final = 0o600
_UPLOAD_UNPACKED: Final = 1 << 30
"""Bytes that a packed file from the console may come to."""


@dataclass(frozen=True)
class IntakeReport:
    """What an import did. rows_read counts every line; left_out those that the profile's filter does not mean.

    accepted and refused add up to rows_read less left_out. new, updated and unchanged add up to accepted, where the
    portfolio came in at all (`state`). balance_minor: owed on the accepted lines; None over several currencies.
    Of a dry run `new` says how many accounts would be new; what would change in the others it does not ask.
    refusals, warnings: lines by code. rejects_path: CSV with line, field, code, fix; empty where nothing was found.
    columns: the names in a file's header, once it proved to be one.
    """

    portfolio_id: int | None
    state: str
    rows_read: int
    left_out: int
    accepted: int
    refused: int
    new: int
    updated: int
    unchanged: int
    currency: str
    balance_minor: int | None
    already: bool
    rejects_path: str
    refusals: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


class _Undo(Exception):
    """Ends the transaction without a trace; the refusal is written in the next one."""


_progress: ContextVar[Callable[[int, float | None], None] | None] = ContextVar("consign_intake_progress", default=None)


@contextmanager
def progress_told(to: Callable[[int, float | None], None]) -> Iterator[None]:
    """In the block `to(lines, fraction)` is told after every shard; the fraction is None where nobody knows it."""
    token = _progress.set(to)
    try:
        yield
    finally:
        _progress.reset(token)


@verb()
def intake(
    source: Path | str,
    profile: Path | str,
    lender: str,
    as_of: date,
    threshold: str = "0",
    query: Path | None = None,
    dry_run: bool = False,
) -> IntakeReport:
    """Take a portfolio in; safe to run again.

    source: a file, `env:NAME` for the database whose URL that environment variable holds, or `upload:NAME` for a file
    that somebody handed in at the console. profile: the name of one that comes with Consign or lies below
    home, or a .toml file.
    threshold: the share of refused lines that is still let pass, 0 to 1. query: a file with the SQL to run instead of
    the profile's. dry_run: check everything and keep nothing.
    """
    at = desk()
    chosen = profiles.find(str(profile))
    where, findings = str(source), at.folder("rejects") / "dry-run.csv"
    if where.startswith(uploads.PREFIX):
        upload = uploads.found(at, where.removeprefix(uploads.PREFIX))
        findings = uploads.findings_path(at, upload.upload)
        opened = open_source(HeldFile(upload.name, upload.size, upload.opened, _UPLOAD_UNPACKED), chosen)
    else:
        opened = open_source(where, chosen, query.read_text(encoding="utf-8") if query else "")
    return _Import(at, chosen, opened, lender, as_of, share(threshold), dry_run, findings).run()


def share(threshold: str) -> Decimal:
    """A share of lines, 0 to 1, from its text. Raises UsageError."""
    try:
        read = Decimal(str(threshold))
    except InvalidOperation:
        read = Decimal(-1)
    if not 0 <= read <= 1:
        raise UsageError(
            "the threshold is a share from 0 to 1", fix="write 0.02 to let two lines in a hundred be refused"
        )
    return read


@dataclass
class _Counts:
    """What has been seen so far."""

    read: int = 0
    left_out: int = 0
    accepted: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    refused: list[pd.DataFrame] = field(default_factory=list)
    warned: list[pd.DataFrame] = field(default_factory=list)

    def owed(self, lines: pd.DataFrame) -> None:
        for currency, total in lines.groupby("currency")["balance_minor"].sum().items():
            self.balances[str(currency)] = self.balances.get(str(currency), 0) + int(total)


@dataclass
class _Keys:
    """The data keys of one import: each seals so many accounts and no more, over the shards."""

    key: DataKey | None = None
    left: int = 0

    def for_rows(self, at: Desk, rows: int) -> tuple[RowKeys, list[str]]:
        """The key of each of so many rows, and which keys were made for them."""
        import numpy as np

        from keys.vault import RowKeys

        size = at.settings.identities_per_key
        fresh = at.keyring.new_data_keys(-(-max(0, rows - self.left) // size), at.now()) if rows > self.left else ()
        keys = (*((self.key,) if self.key is not None and self.left else ()), *fresh)
        of_row = (np.arange(rows) + (size - self.left if self.left else 0)) // size
        self.left = (self.left - rows) % size
        self.key = keys[-1]
        return RowKeys(keys, of_row), [key.key_id for key in fresh]


@dataclass
class _Import:
    """One import, from the source to the report."""

    at: Desk
    profile: Profile
    source: Source
    lender: str
    as_of: date
    threshold: Decimal
    dry_run: bool
    findings: Path
    """where a dry run's findings go"""
    counts: _Counts = field(default_factory=_Counts)
    seen: rules.Seen = field(default_factory=rules.Seen)
    people: rules.Seen = field(default_factory=rules.Seen)
    keys: _Keys = field(default_factory=_Keys)
    has_erased: bool | None = None
    """whether anybody of the lender's was erased; None: nobody has asked yet"""

    def run(self) -> IntakeReport:
        """The report; everything is in the store, or nothing is."""
        try:
            with self.at.database.write() as connection:
                portfolios.held_lender(connection, self.lender)
                if (earlier := self._earlier(connection)) is not None:
                    return earlier
                first_import = not portfolios.has_accounts(connection, self.lender)
                portfolio_id = self._portfolio_id(connection)
                for chunk in self.source.chunks(self.at.settings.shard_rows):
                    self._take(connection, chunk, portfolio_id, first_import=first_import)
                if (earlier := self._earlier(connection)) is not None:  # a query's digest is known only now
                    raise _Undo
                if self.dry_run or self._too_many_refused():
                    raise _Undo
                return self._finish(connection, portfolio_id, "accepted")
        except _Undo:
            return self._refuse_or_forget()

    def _refuse_or_forget(self) -> IntakeReport:
        """What is said of an import of which nothing was kept."""
        if self.dry_run:
            path = self._write_findings(self.findings)
            return self._report(None, "checked" if not self._too_many_refused() else "refused", path)
        with self.at.database.write() as connection:
            portfolios.held_lender(connection, self.lender)
            if (earlier := self._earlier(connection)) is not None:
                return earlier
            self.counts.new = self.counts.updated = self.counts.unchanged = 0
            return self._finish(connection, self._portfolio_id(connection), "refused")

    def _earlier(self, connection: Connection) -> IntakeReport | None:
        """The report of the same source that is in already; None if it is not."""
        digest = self.source.sha256()
        row = digest and portfolios.portfolio_of(connection, self.lender, self.profile.reference, digest, self.as_of)
        if not row or row["state"] == "refused":
            return None
        return IntakeReport(
            portfolio_id=row["portfolio_id"], state=row["state"], rows_read=row["rows_read"],
            left_out=row["rows_read"] - row["rows_accepted"] - row["rows_refused"], accepted=row["rows_accepted"],
            refused=row["rows_refused"], new=0, updated=0, unchanged=row["rows_accepted"], currency=row["currency"],
            balance_minor=None if row["currency"] == portfolios.MIXED else row["balance_minor"], already=True,
            rejects_path="",
        )  # fmt: skip

    def _portfolio_id(self, connection: Connection) -> int:
        """The number of this portfolio: the one of its earlier refusal, else a fresh one."""
        digest = self.source.sha256()
        row = digest and portfolios.portfolio_of(connection, self.lender, self.profile.reference, digest, self.as_of)
        return int(row["portfolio_id"]) if row else bulk.reserve(connection, "portfolio", 1)

    def _take(self, connection: Connection, chunk: Chunk, portfolio_id: int, *, first_import: bool) -> None:
        """One shard: mapped, checked, indexed, stored, sealed."""
        import numpy as np

        counts = self.counts
        told = mapped(self.profile, chunk.table, chunk.lines, self.as_of)
        checked = rules.check(told.readings, told.lines, self.as_of, self.profile.limits, self.seen)
        counts.read += len(chunk.lines) + len(chunk.malformed)
        counts.left_out += told.left_out
        counts.refused += [rules.findings(chunk.malformed, "line", "malformed_line"), told.refused, checked.refused]
        counts.warned.append(checked.warned)
        good = checked.good
        refs = ref_index(self.at.keyring, good["account_ref"])
        shard = good.assign(
            ref_index=refs,
            identity_index=identity_index(self.at.keyring, self.lender, good, refs),
            linkage=linkage_pseudonyms(self.at.keyring, self.lender, good),
        )
        there = portfolios.known(
            connection,
            self.lender,
            shard,
            # a file names an account only once: what this import has added is not asked for again
            may_have_account=np.full(len(shard), not first_import),
            may_have_debtor=self.people.met(shard["identity_index"]) | (not first_import),
        )
        lines = good["line"].to_numpy()
        if self.has_erased is None:
            self.has_erased = shredding.has_marks(connection, self.lender)
        if self.has_erased:
            there = there.without(self._erased(connection, shard))
        if there.erased.any():
            counts.refused.append(rules.findings(lines[there.erased], "account_ref", "erased"))
            stays = np.flatnonzero(~there.erased)
            shard, there, lines = shard.iloc[stays].reset_index(drop=True), there.only(stays), lines[stays]
        counts.warned.append(rules.findings(lines[there.moved], "id_number", "identity_changed"))
        counts.accepted += len(shard)
        counts.owed(shard)
        if self.dry_run:
            counts.new += int((there.accounts["account_id"].isna()).sum())
        elif len(shard):
            self._store(connection, shard, there, portfolio_id)
        if (tell := _progress.get()) is not None:
            tell(counts.read, self.source.fraction())

    def _erased(self, connection: Connection, shard: pd.DataFrame) -> np.ndarray:
        """Which lines speak of an account, or of somebody, that was erased."""
        erased = [
            shredding.marked(connection, self.lender, erased_marks(self.at.keyring, shard[name]))
            for name in ("ref_index", "identity_index")
        ]
        both: np.ndarray = erased[0] | erased[1]
        return both

    def _store(self, connection: Connection, shard: pd.DataFrame, there: portfolios.Known, portfolio_id: int) -> None:
        from keys.vault import seal_cells

        at = self.at.now()
        kept = portfolios.keep_accounts(connection, self.lender, portfolio_id, self.as_of, at, shard, there)
        self.counts.new += int(kept.new.sum())
        self.counts.updated += kept.updated
        self.counts.unchanged += kept.unchanged
        known = [name for name in IDENTITY if name in shard]
        # a profile that maps no identity has none to replace
        sealed = kept.current if len(known) > 1 else kept.new
        if not sealed.any():
            return
        ids = kept.account_ids[sealed]
        keys, fresh = self.keys.for_rows(self.at, len(ids))
        shredding.register_keys(connection, self.lender, fresh, at)
        cells = {name: seal_cells(keys, name, ids, shard.loc[sealed, name]) for name in known}
        found_by = telephone_indexes(self.at.keyring, self.lender, shard.loc[sealed])
        portfolios.keep_identities(connection, portfolio_id, keys.ids(), ids, kept.new[sealed], cells, found_by)

    def _too_many_refused(self) -> bool:
        findings = rules.joined(self.counts.refused)
        # somebody whom we were to forget is no fault of the file: every snapshot of the lender's may go on naming them
        refused = int(findings.loc[findings["code"] != "erased", "line"].nunique())
        return refused > self.threshold * (self.counts.accepted + refused)

    def _refused_lines(self) -> int:
        return int(rules.joined(self.counts.refused)["line"].nunique())

    def _finish(self, connection: Connection, portfolio_id: int, state: str) -> IntakeReport:
        counts, at = self.counts, self.at.now()
        path = self._write_findings(self.at.folder("rejects") / f"{portfolio_id}.csv")
        report = self._report(portfolio_id, state, path)
        digest = self.source.sha256() or ""
        row = {
            "portfolio_id": portfolio_id,
            "lender": self.lender,
            "profile": self.profile.reference,
            "source": self.source.name,
            "source_sha256": digest,
            "as_of": self.as_of,
            "received_at": at,
            "rows_read": counts.read,
            "rows_accepted": report.accepted,
            "rows_refused": report.refused,
            "rows_new": counts.new,
            "rows_updated": counts.updated,
            "currency": report.currency,
            "balance_minor": report.balance_minor or 0,
            "state": state,
        }
        portfolios.keep_portfolio(connection, row, rules.with_fixes(rules.joined(counts.refused)))
        if state == "accepted" and holds_basis(connection, self.lender, self.at.today()):
            refresh(connection, self.at, self.lender)
        audit.record(
            connection, self.at.actor, f"portfolio.{state}", f"portfolio:{portfolio_id}",
            {
                "lender": self.lender, "profile": self.profile.reference, "source_sha256": digest,
                "as_of": self.as_of.isoformat(), "rows": counts.read, "accepted": report.accepted,
                "refused": report.refused, "new": counts.new, "updated": counts.updated,
            },
            at,
        )  # fmt: skip
        return report

    def _report(self, portfolio_id: int | None, state: str, path: str) -> IntakeReport:
        counts = self.counts
        currencies = sorted(counts.balances)
        currency = currencies[0] if len(currencies) == 1 else portfolios.MIXED
        return IntakeReport(
            portfolio_id=portfolio_id,
            state=state,
            rows_read=counts.read,
            left_out=counts.left_out,
            accepted=counts.accepted,
            refused=self._refused_lines(),
            new=counts.new,
            updated=counts.updated,
            unchanged=counts.unchanged,
            currency=currency,
            balance_minor=sum(counts.balances.values()) if len(currencies) <= 1 else None,
            already=False,
            rejects_path=path,
            refusals=_by_code(counts.refused),
            warnings=_by_code(counts.warned),
            columns=getattr(self.source, "columns", ()),
        )

    def _write_findings(self, path: Path) -> str:
        """The path, as text, of the CSV with every finding, readable by the owner alone; empty where there is none."""
        import pandas as pd

        refused, warned = rules.joined(self.counts.refused), rules.joined(self.counts.warned)
        if refused.empty and warned.empty:
            return ""
        told = pd.concat(
            [
                rules.with_fixes(refused).assign(outcome="refused"),
                rules.with_fixes(warned).assign(outcome="warning"),
            ]
        )
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, _PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            defused(told.sort_values("line", kind="stable")).to_csv(file, index=False)
        part.replace(path)
        return str(path)


def _by_code(found: list[pd.DataFrame]) -> dict[str, int]:
    counted: dict[Any, int] = rules.joined(found)["code"].value_counts().to_dict()
    return {str(code): int(count) for code, count in counted.items() if count}
