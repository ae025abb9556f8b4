"""What a month would have cost under other terms, asked at the console: the question and the answer are files.

A job's row holds identifiers alone, and terms name accounts of agencies: the question lies below home under a name of
its own, and the answer, counts and minor units by agency and tier, beside it. The same question has the same name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from infra import contracts, workedout
from infra.store import contracts as store
from infra.store import exchange, portfolios
from infra.store.statements import last_day
from models.contract import Contract
from models.contract.writing import instead
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk

NAME_LETTERS: Final = 16


@dataclass(frozen=True)
class Question:
    """One month of a lender under other terms: those of a file, or those in force with some changed."""

    lender: str
    period: str
    agency: str | None
    """None: every agency, each with its own terms changed"""
    terms: str
    """TOML; empty: those in force"""
    changes: Mapping[str, str]


def ask(desk: Desk, question: Question) -> str:
    """The name under which the question is kept. Raises UsageError and ContractFault where it cannot be answered."""
    last = last_day(question.period)
    if not question.terms and not question.changes:
        raise UsageError("no other terms", fix="give a file of terms, or a term that is changed")
    if question.terms and question.agency is None:
        raise UsageError("terms are one agency's", fix="say which; changes alone may be everybody's")
    with desk.database.read() as connection:
        portfolios.known_lender(connection, question.lender)
        if question.agency is not None:
            exchange.agency(connection, question.agency)
        present = ""
        if question.agency is not None:
            present = store.one(connection, question.lender, question.agency, last).terms
    if present:
        Contract.parse(instead(present, question.terms, question.changes))
    name = hashlib.sha256(json.dumps(asdict(question), sort_keys=True).encode()).hexdigest()[:NAME_LETTERS]
    workedout.keep(desk, f"terms-{name}", asdict(question))
    return name


def question(desk: Desk, name: str) -> Question:
    """The question of that name. Raises UsageError."""
    told = workedout.find(desk, f"terms-{name}")
    if told is None:
        raise UsageError("there is no such question", fix="fill the form in again")
    return Question(**told["found"])


def answer(desk: Desk, name: str) -> dict[str, Any]:
    """The answer is kept; what it comes to: agencies, and the difference per currency."""
    asked = question(desk, name)
    rows = contracts.simulate(
        desk, asked.lender, asked.period, lambda _, present: instead(present, asked.terms, asked.changes), asked.agency
    )
    sums = rows.groupby("currency")[["commission_minor", "vat_minor", "commission_then_minor", "vat_then_minor",
                                     "difference_minor"]].sum()  # fmt: skip
    totals = [
        {"currency": currency, **{name: int(value) for name, value in row.items()}}
        for currency, row in sums.to_dict("index").items()
    ]
    found = {"rows": json.loads(rows.to_json(orient="records")), "totals": totals}
    workedout.keep(desk, f"cost-{name}", found)
    return {"cost": name, "agencies": int(rows["agency"].nunique()), "lines": int(rows["lines"].sum())}


def found(desk: Desk, name: str) -> dict[str, Any] | None:
    """`rows` as `infra.contracts.simulate` has them, and `totals`, `at`, `by`; None where there is no answer (yet)."""
    told = workedout.find(desk, f"cost-{name}")
    return None if told is None else {**told["found"], "at": told["at"], "by": told["by"]}
