"""How far a new house is on its way to its first placement: what there is of each thing that one takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, exists, func, select

from infra.store import bulk
from models.roles import ROLES
from models.tables import ActorRole, Agency, AgencyContract, BankAccount, Lender, Plan, Portfolio

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

WORKING: Final = [role for role in ROLES if role != "administrator"]
PEOPLE: Final = bulk.table_of(ActorRole)
LENDERS: Final = bulk.table_of(Lender)
AGENCIES: Final = bulk.table_of(Agency)
CONTRACTS: Final = bulk.table_of(AgencyContract)
ACCOUNTS: Final = bulk.table_of(BankAccount)
PORTFOLIOS: Final = bulk.table_of(Portfolio)
PLANS: Final = bulk.table_of(Plan)
TWO: Final = 2
"""Whoever proposes does not approve."""


def first_steps(connection: Connection) -> dict[str, bool]:
    """Each step towards the first placement in the order they are taken, and whether it is done.

    people: two somebodies have roles to work by; lender, agency, contract, portfolio: there is one; live: an agency may
    be sent accounts; bank: a bank account is registered; placed: a plan was sent.
    """
    told: dict[str, ColumnElement[bool]] = {
        "people": select(func.count(PEOPLE.c.actor.distinct()) >= TWO)
        .where(PEOPLE.c.role.in_(WORKING))
        .scalar_subquery(),
        "lender": exists().select_from(LENDERS),
        "agency": exists().select_from(AGENCIES),
        "contract": exists().select_from(CONTRACTS),
        "live": exists().where(AGENCIES.c.state == "live"),
        "bank": exists().select_from(ACCOUNTS),
        "portfolio": exists().select_from(PORTFOLIOS),
        "placed": exists().where(PLANS.c.state == "placed"),
    }
    row = connection.execute(select(*(found.label(step) for step, found in told.items()))).one()
    return {step: bool(row._mapping[step]) for step in told}  # noqa: SLF001 - SQLAlchemy's own name of it
