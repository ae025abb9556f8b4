"""Seeds of plans that were committed before, in the store: told as a hash, used once, revealed with the plan."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, insert, select, update

from infra import audit
from infra.store import bulk, keyset
from infra.store.keyset import Order
from models.errors import RefusedByPolicy, UsageError
from models.planning.champion import SEED_BITS, check_revealed, commitment
from models.tables import SeedCommitment

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from infra.store.keyset import Page

SEEDS = bulk.table_of(SeedCommitment)


def commit(connection: Connection, lender: str, name: str, actor: str, now: datetime) -> str:
    """A fresh secret seed for the plan of that name is kept, and its hash told; returns the hash.

    Raises RefusedByPolicy where one waits already: who may throw seeds away can choose among them.
    """
    if waiting(connection, lender, name) is not None:
        raise RefusedByPolicy(
            f"a seed for plan {name} is committed already", fix="make the plan: it will use that seed and tell it"
        )
    seed = secrets.randbits(SEED_BITS)
    told = commitment(lender, name, seed)
    connection.execute(
        insert(SEEDS).values(lender=lender, name=name, sha256=told, seed=seed, committed_by=actor, committed_at=now)
    )
    audit.record(connection, actor, "plan.seed_committed", f"lender:{lender}", {"lender": lender, "sha256": told}, now)
    return told


def waiting(connection: Connection, lender: str, name: str) -> Row[Any] | None:
    """The commitment that the next plan of that name will use; None where there is none."""
    return connection.execute(
        select(SEEDS).where(SEEDS.c.lender == lender, SEEDS.c.name == name, SEEDS.c.plan_id.is_(None))
    ).one_or_none()


def of_plan(connection: Connection, plan_id: int) -> Row[Any] | None:
    """The commitment that the plan used; None where its seed was not committed."""
    return connection.execute(select(SEEDS).where(SEEDS.c.plan_id == plan_id)).one_or_none()


def told(connection: Connection, plan_id: int) -> dict[str, Any] | None:
    """The commitment that the plan used, as a page shows it; None where its seed was not committed."""
    row = of_plan(connection, plan_id)
    return None if row is None else keyset.aware(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it


def listed(connection: Connection, lender: str = "", after: str | None = None) -> Page:
    """Commitments, the newest first; the seed of one that no plan has used yet is None here, for it is secret."""
    revealed = case((SEEDS.c.plan_id.is_(None), None), else_=SEEDS.c.seed).label("seed")
    statement = select(*(column for column in SEEDS.c if column.name != "seed"), revealed)
    if lender:
        statement = statement.where(SEEDS.c.lender == lender)
    return keyset.page(connection, statement, Order((SEEDS.c.commitment_id,), falling=True), after)


def reveal(connection: Connection, plan_id: int, used: Row[Any], actor: str, now: datetime) -> None:
    """The plan has used the seed, which is told from now on. Raises NotCommitted, UsageError."""
    check_revealed(used.lender, used.name, used.seed, used.sha256)
    done = connection.execute(
        update(SEEDS)
        .where(SEEDS.c.commitment_id == used.commitment_id, SEEDS.c.plan_id.is_(None))
        .values(plan_id=plan_id, revealed_at=now)
    ).rowcount
    if not done:
        raise UsageError(f"the seed of plan {used.name} was used just now by another plan", fix="commit another one")
    details: dict[str, audit.Value] = {"lender": used.lender, "sha256": used.sha256, "seed": used.seed}
    audit.record(connection, actor, "plan.seed_revealed", f"plan:{plan_id}", details, now)
