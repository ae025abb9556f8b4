"""A debtor with five accounts at two lenders gets one agency and one contact limit; no lender learns of the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from console.cli.main import app
from flows.collect import collect
from flows.conduct import conduct
from flows.consolidate import consolidate
from flows.intake import intake
from flows.place import place
from flows.plan import approve, draft, submit
from infra import consolidation, jointpayments, policies
from infra.packages import account_pseudonyms
from infra.sandbox import debtors
from infra.sandbox.agency import SandboxAgency
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, plans
from infra.store import consolidation as store
from infra.wiring import Desk, seated
from models.errors import Findings
from models.planning.spec import PlanSpec
from models.tables import Breach, Debtor, LinkedDebtor, Placement

pytestmark = pytest.mark.acceptance

START = date(2026, 3, 2)
LENDERS = ("harbour", "lotus")
PERSONS = 12
"""linked between the two lenders; the first has three accounts at the one and two at the other"""
PAID_MINOR = 60_000_01
IDENTITY = ("name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name", "contact_phone")

POLICY = """\
name = "joint"
version = "1"
jurisdiction = "CN"

[purposes.collection]
basis = "PIPL art. 13(1)(2)"
verified = "text"
erase_after_days = 30

[[release]]
purpose = "collection"
stages = ["phone"]
channels = ["phone"]
legal_basis = "PIPL art. 13(1)(1): separate consent, circle delta"
verified = "unverified"

[release.fields]
joint_debtor = "release"
product = "release"
currency = "release"
balance = "release"
as_of = "release"
dpd = "release"
bucket = "release"
stage = "release"
round = "release"
placed_on = "release"
due_back_on = "release"
"""


@dataclass
class Two:
    """Two lenders, three agencies, and persons who owe both."""

    world: World
    raw: dict[str, pd.DataFrame]
    folder: Path
    number: int = 0
    files: dict[str, list[tuple[str, pd.DataFrame]]] = field(default_factory=dict)
    """by agency: the lender and the frame of every placement it got"""

    @property
    def desk(self) -> Desk:
        return self.world.desk

    def as_(self, actor: str) -> Desk:
        """The same desk with somebody else at it."""
        other = Desk(self.desk.settings, clock=self.desk.clock, actor=actor)
        other.__dict__.update(database=self.desk.database, keyring=self.desk.keyring)
        return other

    def base(self, lender: str, scope: str = "external", order: str = "oldest_first", **more: Any) -> int:
        """A basis of circle delta, proposed by one and approved by another."""
        told = consolidation.propose(
            self.desk, "delta", lender, scope=scope, basis="PIPL art. 13(1)(1), agreement of 1 March 2026",
            evidence="register 7/2026", valid_from=START, split_order=order, **more,
        )  # fmt: skip
        assert told.basis_id is not None
        consolidation.approve(self.as_("li.wei"), told.basis_id)
        return told.basis_id

    def planned(self, lender: str, policy: str = "cn-default") -> int:
        """A plan of the lender's that a second person has approved."""
        self.number += 1
        plan_id = draft(
            PlanSpec(lender=lender, name=f"{lender} {self.number}", seed=self.number, policy=policy)
        ).plan_id
        assert plan_id is not None
        submit(plan_id)
        with seated(self.as_("li.wei")):
            approve(plan_id)
        return plan_id

    def placed(self, lender: str, policy: str = "cn-default") -> int:
        """The lender's accounts are with their agencies, who have read their files."""
        plan_id = self.planned(lender, policy)
        place(plan_id)
        for code, agency in self.world.agencies.items():
            for path in sorted(agency.inbox.glob(f"{lender}.{code}.placement.*.age")):
                if path.name not in agency._seen:
                    self.files.setdefault(code, []).append((lender, agency._opened(path, self.desk.now())))
            agency.open_mail(self.desk.now())
        return plan_id

    def persons(self) -> pd.DataFrame:
        """`person`, `lender`, `debtor_id`, `account_id`, `placement_id`, `agency` of those who owe both lenders."""
        placements = bulk.table_of(Placement)
        names = ("lender", "debtor_id", "account_id", "placement_id", "agency")
        with self.desk.database.read() as connection:
            found = bulk.read(connection, select(*(placements.c[name] for name in names)))
        # accounts are numbered in the order of the files
        who = pd.concat([self.raw[lender]["id_number"] for lender in LENDERS], ignore_index=True)
        found = found.assign(person=found["account_id"].map(who.set_axis(np.arange(1, len(who) + 1))))
        return found[found.groupby("person")["lender"].transform("nunique") > 1]

    def secrets(self, lender: str) -> list[str]:
        """What is that lender's alone: code, account numbers, balances, and the agencies' names for its accounts."""
        raw = self.raw[lender]
        told = [*raw["account_ref"], *raw["balance"], lender]
        for files in self.files.values():
            for of, frame in files:
                if of == lender:
                    told += [*frame["account"], *frame["debtor"]]
        return told

    def report(self, agency: str, lender: str, calls: pd.DataFrame) -> None:
        """The agency's file of connected calls: `account_id`, `at` where the debtor is."""
        key = self.desk.keyring.pseudonym_key(agency)
        self.world.agencies[agency]._send("activity", lender, START, self.desk.now(), pd.DataFrame({
            "account": account_pseudonyms(key, calls["account_id"]), "at": calls["at"] + "+08:00", "channel": "phone",
            "contact_point_ref": "p1", "outcome": "connected", "collector_ref": "c1",
        }))  # fmt: skip


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Two portfolios are in; the first twelve persons of the one are in the other too."""
    cast = tuple(Cast(code, code.title(), share=1 / 3) for code in ("quayside", "lantern", "millrace"))
    with open_world(
        tmp_path / "home", seed=11, start=START, cast=cast, lenders={"harbour": "Harbour", "lotus": "Lotus"},
        sftp=False, engine="direct",
    ) as world:  # fmt: skip
        raw = portfolios()
        for lender, frame in raw.items():
            assert intake(debtors.write(frame, tmp_path / f"{lender}.csv"), "consign", lender, START).refused == 0
        yield Two(world, raw, tmp_path)


def portfolios() -> dict[str, pd.DataFrame]:
    """50 accounts each, every one another person's; then twelve stand in both, the first one three times and twice."""
    raw = {}
    for lender in LENDERS:
        many = debtors.portfolio(5, 150, lender, START)
        raw[lender] = many.drop_duplicates("id_number").head(50).reset_index(drop=True)
    harbour, lotus, names = raw["harbour"], raw["lotus"], list(IDENTITY)
    lotus.loc[: PERSONS - 1, names] = harbour.loc[: PERSONS - 1, names].to_numpy()
    harbour.loc[[20, 21], names] = harbour.loc[[0, 0], names].to_numpy()
    lotus.loc[[20], names] = harbour.loc[[0], names].to_numpy()
    return raw


# -- one agency --------------------------------------------------------------------------------------------------------


def test_a_debtor_with_five_accounts_at_two_lenders_gets_one_agency(two: Two) -> None:
    for lender in LENDERS:
        two.base(lender)
    for lender in LENDERS:
        two.placed(lender)
    persons = two.persons()
    first = persons[persons["person"] == two.raw["harbour"]["id_number"][0]]
    assert first["lender"].value_counts().to_dict() == {"harbour": 3, "lotus": 2}
    assert persons["person"].nunique() == PERSONS
    assert persons.groupby("person")["agency"].nunique().max() == 1
    assert len(set(persons["agency"])) > 1
    assert consolidate().divided == 0


def test_without_a_basis_of_both_nobody_is_linked(two: Two) -> None:
    two.base("harbour")
    consolidation.propose(
        two.desk,
        "delta",
        "lotus",
        scope="external",
        basis="PIPL art. 13(1)(1)",
        evidence="register 8",
        valid_from=START,
    )
    for lender in LENDERS:
        two.placed(lender)
    assert two.persons().groupby("person")["agency"].nunique().max() > 1
    found = consolidate()
    assert (found.linked, found.divided) == (0, 0)
    with two.desk.database.read() as connection:
        assert bulk.read(connection, select(bulk.table_of(LinkedDebtor))).empty
        people = bulk.read(connection, select(*bulk.table_of(Debtor).c))
    for column in ("identity_index", "linkage"):
        assert people[column].notna().all()
        assert not people[column].duplicated().any(), "nothing in the store joins the lenders"


def test_plans_made_side_by_side_cannot_divide_a_person(two: Two) -> None:
    for lender in LENDERS:
        two.base(lender)
    drafts = {
        lender: draft(PlanSpec(lender=lender, name=lender, seed=place)).plan_id for place, lender in enumerate(LENDERS)
    }
    assert drafts["harbour"] is not None
    assert drafts["lotus"] is not None
    submit(drafts["harbour"])
    with pytest.raises(plans.PlanStale, match="debtors are consolidated with another agency"):
        submit(drafts["lotus"])


def test_a_plan_ends_with_the_basis_that_it_was_made_on(two: Two) -> None:
    bases = {lender: two.base(lender) for lender in LENDERS}
    two.placed("harbour")
    plan_id = two.planned("lotus")
    two.world.clock.turn(START, 12)
    told = consolidation.withdraw(two.as_("li.wei"), bases["harbour"], "the agreement was ended")
    assert told.unlinked == 2 * PERSONS
    with pytest.raises(plans.PlanStale, match="basis of its consolidated collection has ended"):
        place(plan_id)


def test_who_was_divided_before_the_basis_is_an_exception_until_recalled(two: Two) -> None:
    for lender in LENDERS:
        two.placed(lender)
    for lender in LENDERS:
        two.base(lender)
    persons = two.persons()
    apart = persons.groupby("person")["agency"].nunique()
    assert consolidate().divided == int((apart > 1).sum()) > 0
    found = consolidation.divided(two.desk)
    assert found["person"].nunique() == int((apart > 1).sum())
    with two.desk.database.write() as connection:
        table = bulk.table_of(Placement)
        connection.execute(
            update(table).where(table.c.lender == "lotus").values(state="closed", end_reason="cancelled")
        )
    assert consolidate().divided == 0
    two.placed("lotus")
    again = two.persons()
    assert again[again["placement_id"] > 100].groupby("person")["agency"].nunique().max() == 1
    assert consolidate().divided == 0


# -- nobody learns of the other ----------------------------------------------------------------------------------------


def test_a_reader_of_either_lenders_or_agencys_files_learns_nothing_of_the_other(
    two: Two, search: Any, tmp_path: Path
) -> None:
    for lender in LENDERS:
        two.base(lender)
    numbers = {lender: two.placed(lender) for lender in LENDERS}
    split_payment(two)
    told = tmp_path / "told"
    for lender in LENDERS:
        folder = told / lender
        folder.mkdir(parents=True)
        account = str(two.raw[lender]["account_ref"][0])
        for name, words in {
            "plan": ("plan", "show", str(numbers[lender])),
            "plan.json": ("plan", "show", str(numbers[lender]), "--json"),
            "why.json": ("plan", "show", str(numbers[lender]), "--account", account, "--json"),
            "portfolio.json": ("portfolio", "list", "--lender", lender, "--json"),
            "shares.json": ("consolidate", "shares", "--lender", lender, "--json"),
        }.items():
            result = CliRunner().invoke(app, list(words))
            assert result.exit_code == 0, result.output
            (folder / name).write_bytes(result.stdout_bytes)
        for code, files in two.files.items():
            for number, (of, frame) in enumerate(files):
                if of == lender:
                    frame.to_csv(folder / f"{code}-{number}.csv", index=False)
    for lender, other in zip(LENDERS, reversed(LENDERS), strict=True):
        assert search(two.secrets(lender)).below(told / lender), "the search finds the lender's own"
        assert search(two.secrets(other)).below(told / lender) == {}
    for code, files in two.files.items():
        debtors_of = {of: set(frame["debtor"]) for of, frame in files}
        assert not debtors_of["harbour"] & debtors_of["lotus"], f"{code} has a name of its own for each lender's debtor"
        assert all("joint_debtor" not in frame for _, frame in files)
    assert "linked" not in (told / "lotus" / "why.json").read_text(encoding="utf-8")


def test_a_joint_reference_leaves_only_under_a_policy_that_releases_it(two: Two) -> None:
    policy = two.folder / "joint.toml"
    policy.write_text(POLICY, encoding="utf-8")
    policies.propose(two.desk, policy)
    policies.approve(two.as_("li.wei"), "joint@1")
    for lender in LENDERS:
        two.base(lender)
    for lender in LENDERS:
        two.placed(lender, "joint")
    persons = two.persons()
    for code, files in two.files.items():
        joint = {lender: frame.set_index("account")["joint_debtor"].dropna() for lender, frame in files}
        here = persons[persons["agency"] == code]
        assert set(joint["harbour"]) == set(joint["lotus"])
        assert len(set(joint["harbour"])) == here["person"].nunique()
        assert sum(map(len, joint.values())) == len(here)
    everything = [set(frame["joint_debtor"].dropna()) for files in two.files.values() for _, frame in files[:1]]
    assert len(set.union(*everything)) == sum(map(len, everything)), "no two agencies share a reference"


# -- one contact limit -------------------------------------------------------------------------------------------------


def test_a_person_has_one_contact_limit_whoever_was_called_for(two: Two) -> None:
    for lender in LENDERS:
        two.base(lender)
    for lender in LENDERS:
        two.placed(lender)
    persons = two.persons()
    person = persons[persons["person"] == two.raw["harbour"]["id_number"][0]]
    agency = str(person["agency"].iloc[0])
    accounts = person.drop_duplicates("lender").set_index("lender")["account_id"]
    two.world.clock.turn(date(2026, 3, 4))
    two.report(agency, "harbour", calls(accounts["harbour"], "09:00", "10:00"))
    collect()
    assert conduct().by_rule.get("GBT45251-calls", 0) == 0
    two.report(agency, "lotus", calls(accounts["lotus"], "11:00", "12:00"))
    collect()
    two.world.clock.turn(date(2026, 3, 5))
    assert conduct().by_rule["GBT45251-calls"] == 1
    table = bulk.table_of(Breach)
    with two.desk.database.read() as connection:
        found = bulk.read(connection, select(table).where(table.c.rule_id == "GBT45251-calls"))
    assert found["lender"].tolist() == ["lotus"], "the fourth call was lotus's"
    assert found["counted"].isna().all(), "how often harbour called is not lotus's to know"
    again = conduct(everything=True)
    assert (again.found, again.withdrawn) == (0, 0)
    # an earlier call for the other lender makes a later one a breach
    two.report(agency, "harbour", calls(accounts["harbour"], "10:30"))
    collect()
    assert conduct().by_rule["GBT45251-calls"] == 1
    with two.desk.database.read() as connection:
        found = bulk.read(connection, select(table).where(table.c.rule_id == "GBT45251-calls"))
    assert found["lender"].tolist() == ["lotus", "lotus"]


def calls(account_id: int, *times: str) -> pd.DataFrame:
    return pd.DataFrame({"account_id": int(account_id), "at": [f"2026-03-03T{time}:00" for time in times]})


# -- joint payments ----------------------------------------------------------------------------------------------------


def split_payment(two: Two, amount: str = "5000.00") -> pd.DataFrame:
    """What the first person paid for everything, split; the advice."""
    persons = two.persons()
    person = persons[persons["person"] == two.raw["harbour"]["id_number"][0]]
    agency = str(person["agency"].iloc[0])
    key = two.desk.keyring.pseudonym_key(agency)
    account = account_pseudonyms(key, person["account_id"].head(1)).iloc[0]
    path = two.folder / "joint.csv"
    path.write_text(f"payment_ref,account,currency,amount,paid_on\nP-1,{account},CNY,{amount},2026-03-02\n", "utf-8")
    told, advice = jointpayments.take_in(two.desk, agency, path)
    assert (told.payments, told.known_before) == (1, 0)
    assert jointpayments.take_in(two.desk, agency, path)[0].known_before == 1
    return advice


@pytest.mark.parametrize("order", ["pro_rata", "lender_order"])
def test_a_joint_payment_is_split_over_the_lenders_to_the_minor_unit(two: Two, order: str) -> None:
    two.base("harbour", order=order, split_rank=1)
    two.base("lotus", order=order, split_rank=2)
    for lender in LENDERS:
        two.placed(lender)
    advice = split_payment(two, f"{PAID_MINOR / 100:.2f}")
    assert sum(map(Decimal, advice["gross"])) == Decimal(PAID_MINOR) / 100
    assert advice["agency_txn_id"].is_unique
    with two.desk.database.read() as connection:
        shares = store.shares(connection)
    owed = pd.concat([two.raw[lender].assign(lender=lender) for lender in LENDERS], ignore_index=True)
    owed = owed.assign(account_id=np.arange(1, len(owed) + 1), minor=(owed["balance"].astype(float) * 100).round())
    mine = owed[owed["id_number"] == two.raw["harbour"]["id_number"][0]].set_index("account_id")
    got = shares.set_index("account_id")["amount_minor"].reindex(mine.index).fillna(0)
    assert got.sum() == PAID_MINOR < mine["minor"].sum()
    if order == "pro_rata":
        assert (got - mine["minor"] * PAID_MINOR / mine["minor"].sum()).abs().max() < 1
    else:
        first = mine.assign(rank=mine["lender"].map({"harbour": 1, "lotus": 2})).sort_values(["rank", "due_on"])
        before = first["minor"].cumsum() - first["minor"]
        assert got[first.index].tolist() == (PAID_MINOR - before).clip(0, first["minor"]).tolist()


def test_a_share_is_held_against_what_the_agency_remits(two: Two) -> None:
    for lender in LENDERS:
        two.base(lender, order="pro_rata")
    for lender in LENDERS:
        two.placed(lender)
    advice = split_payment(two)
    assert set(advice["lender"]) == set(LENDERS)
    agency = str(two.persons().set_index("person")["agency"][two.raw["harbour"]["id_number"][0]].iloc[0])
    sandbox: SandboxAgency = two.world.agencies[agency]
    for lender in LENDERS:
        part = advice[advice["lender"] == lender]
        gross = (part["gross"].astype(float) * 100).round().astype("int64")
        sandbox._send("remittance", lender, START, two.desk.now(), pd.DataFrame({
            "agency_txn_id": part["agency_txn_id"], "account": part["account"], "type": "recovery", "currency": "CNY",
            "gross_minor": gross - (lender == "lotus"), "net_minor": gross - (lender == "lotus"),
            "value_date": pd.Timestamp(START), "batch_ref": "B1",
        }))  # fmt: skip
    collect()
    with two.desk.database.read() as connection:
        states = {lender: set(store.shares(connection, lender=lender)["state"]) for lender in LENDERS}
    assert states == {"harbour": {"remitted"}, "lotus": {"differs"}}
    consolidate()
    result = CliRunner().invoke(app, ["exceptions", "list", "--json"])
    codes = {row["code"]: row["lender"] for row in json.loads(result.stdout)["items"]}
    assert codes["joint_share_open"] == "lotus"


def test_more_than_is_owed_is_nobodys_and_a_reference_is_one_payment(two: Two) -> None:
    for lender in LENDERS:
        two.base(lender)
    for lender in LENDERS:
        two.placed(lender)
    advice = split_payment(two, "9000000.00")
    assert sum(map(Decimal, advice["gross"])) < Decimal(9_000_000)
    with two.desk.database.read() as connection:
        payment = bulk.read(connection, select(store.PAYMENTS)).iloc[0]
        assert payment["surplus_minor"] + store.shares(connection)["amount_minor"].sum() == 9_000_000_00
    path = two.folder / "joint.csv"
    path.write_text(path.read_text("utf-8").replace("9000000.00", "9.00"), "utf-8")
    with pytest.raises(Findings, match="line 1: another payment has this payment_ref"):
        jointpayments.take_in(two.desk, str(payment["agency"]), path)
