"""Free texts of the store: what people, agencies and banks wrote, in which a person's values may stand.

Every text column of every table is one, unless it is named here as something else: a new column is searched until
somebody says why not. Rows that belong to an account are searched by that account; those that name none are read
through. What the append-only tables hold are codes, numbers and hashes by their own rules (infra/audit.py).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, UniqueConstraint, or_, select
from sqlmodel import SQLModel

from infra.store import bulk
from models.tables import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column, Table

STRUCK: Final = "[erased]"
"""What stands in the place of a value that was struck out."""
ROWS: Final = 50_000
HEAD: Final = 2
"""How many characters of a value are looked for first, everywhere at once."""
PLACEMENTS: Final = bulk.table_of(Placement)

SEALED: Final = frozenset({"identity"})
"""Tables whose cells are sealed, and go with their keys."""
GUARDED: Final = frozenset({"audit_event", "audit_head", "audit_node", "journal_entry", "journal_line"})
"""Tables that only grow."""
OURS: Final = frozenset({
    "account", "debtor", "lender", "id_counter", "lease", "circuit", "erased_mark", "identity_key", "actor_role",
    "agency_contract", "layout_profile", "plan_line", "plan_exclusion", "disclosure", "disclosure_account",
    "score_run", "score", "conduct_run", "host_key", "key_request", "client_key_use", "match", "match_part", "agency",
    "certification", "certification_step", "certificate_waiver", "due_diligence", "ledger_account", "agency_payment",
    "payment_run", "contract_proposal", "period_closing", "commission_adjustment", "statement", "erased_account",
    "release_policy", "linked_debtor", "joint_share", "rulebook", "stage_move", "account_stage",
    "recall_proposal_line",
})  # fmt: skip
"""Tables that hold nothing but what Consign itself computes, and codes, keys, rules and texts about agencies."""
CODES: Final = frozenset({
    "lender", "agency", "state", "kind", "currency", "code", "severity", "bucket", "stage", "channel", "outcome",
    "status", "source_sha256", "sha256", "sealed_sha256", "package_sha256", "previous_sha256", "policy_version", "pack",
    "pack_version", "rule_id", "clause", "counter", "zone", "content_id", "period", "key_generation", "layout",
    "audit_head", "key_ids", "sealed_path", "stored_path", "sums", "spec", "segment", "evidence", "category",
})  # fmt: skip
"""Columns whose content is one of a list, a number of ours, a rule's, or a hash."""


def searched() -> list[tuple[Table, list[Column[Any]]]]:
    """Every table that is searched, and its columns of free text."""
    left_out = SEALED | GUARDED | OURS
    found = []
    for table in SQLModel.metadata.sorted_tables:
        texts = [
            column
            for column in table.columns
            if bulk.is_text(column) and column.name not in CODES and not column.primary_key
        ]
        if texts and table.name not in left_out:
            found.append((table, texts))
    return found


def strike(connection: Connection, values: Iterable[str], account_ids: np.ndarray) -> int:
    """Each of these values is struck out wherever it stands in a free text. Returns in how many texts.

    account_ids: whose values they are; tables that name an account are searched there alone.
    """
    needles = Needles(values)
    if not needles:
        return 0
    struck = 0
    with bulk.staged(connection, PLACEMENTS, pd.DataFrame({"account_id": account_ids})) as stage:
        for table, columns in searched():
            statement = select(*table.primary_key.columns, *columns).where(or_(*(one.is_not(None) for one in columns)))
            mine = _mine(table, stage)
            if mine is not None:
                statement = statement.where(mine)
            names = [column.name for column in columns]
            found = [
                each for rows in bulk.read_chunks(connection, statement, ROWS) for each in _hits(rows, names, needles)
            ]
            for name, rows in found:  # after the reading: few, however many were read
                struck += _struck(connection, table, rows, name, needles)
    return struck


def _hits(rows: pd.DataFrame, columns: Sequence[str], needles: Needles) -> list[tuple[str, pd.DataFrame]]:
    """By column: the rows in whose text any of the values stands."""
    found = ((name, rows[needles.found(rows[name])]) for name in columns)
    return [(name, hit) for name, hit in found if len(hit)]


def _mine(table: Table, stage: Table) -> Any:
    """Which rows of the table belong to the accounts, or to nobody; None where it knows no account."""
    accounts = select(stage.c.account_id)
    if "account_id" in table.c:
        column, theirs = table.c.account_id, accounts
    elif "placement_id" in table.c:
        column = table.c.placement_id
        theirs = select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.account_id.in_(accounts))
    else:
        return None
    return or_(column.in_(theirs), column.is_(None)) if column.nullable else column.in_(theirs)


def _struck(connection: Connection, table: Table, rows: pd.DataFrame, name: str, needles: Needles) -> int:
    """The column of these rows holds none of the values any more."""
    key = [column.name for column in table.primary_key.columns]
    alone = name in _unique(table)  # two texts that differed by a value must differ without it
    stands = [f"[erased {secrets.token_hex(4)}]" if alone else STRUCK for _ in range(len(rows))]
    mended = rows[[*key, name]].copy()
    mended[name] = pd.array(list(map(needles.struck, mended[name], stands)), dtype="str")
    return bulk.set_columns(connection, table, mended, key)


def _unique(table: Table) -> set[str]:
    """Columns of which no two rows may say the same."""
    together = {
        column.name
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
        for column in constraint.columns
    }
    return together | {column.name for index in table.indexes if index.unique for column in index.columns}


class Needles:
    """Values that are looked for in many texts at once: by their first two characters, then whole."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = sorted({value for value in values if _tells(value)}, key=len, reverse=True)
        by_head: dict[int, list[str]] = {}
        for value in self.values:
            by_head.setdefault(_head(value), []).append(value)
        self._by_head = by_head
        self._heads = np.array(sorted(by_head), dtype=np.uint64)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.values)

    def found(self, texts: pd.Series) -> np.ndarray:
        """Per text, whether any of the values stands in it."""
        hit = np.zeros(len(texts), dtype=bool)
        present = np.flatnonzero(texts.notna().to_numpy())
        cells = texts.iloc[present].tolist()
        if not cells:
            return hit
        letters = np.frombuffer("\n".join(cells).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
        starts = np.concatenate([[0], np.cumsum([len(cell) + 1 for cell in cells])])
        pairs = letters[:-1] << np.uint64(32) | letters[1:]
        likely = np.unique(np.searchsorted(starts, np.flatnonzero(np.isin(pairs, self._heads)), side="right") - 1)
        for place in likely.tolist():
            if self._in(cells[place]):
                hit[present[place]] = True
        return hit

    def _in(self, text: str) -> bool:
        heads = {_head(text[at : at + HEAD]) for at in range(len(text) - 1)}
        return any(value in text for head in heads for value in self._by_head.get(head, ()))

    def struck(self, text: str, stands: str = STRUCK) -> str:
        """The text without the values, the longest first. stands: what stands in their place."""
        heads = {_head(text[at : at + HEAD]) for at in range(len(text) - 1)}
        there = {value for head in heads for value in self._by_head.get(head, ()) if value in text}
        for value in sorted(there, key=len, reverse=True):
            text = text.replace(value, stands)
        return text


def _head(text: str) -> int:
    return ord(text[0]) << 32 | ord(text[1])


_SHORTEST: Final = 5
"""A shorter value in letters that every keyboard has stands in too many words that mean something else."""


def _tells(value: str) -> bool:
    """Whether a value tells somebody from others: two characters of Chinese do, two Latin letters do not."""
    return len(value) >= (_SHORTEST if value.isascii() else HEAD)
