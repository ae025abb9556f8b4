"""A year of the sandbox with planted breaches, known in number by rule: every one found, none invented, each cited.

Two lenders, three agencies and the real loop, month by month: intake, plans, placing, files from the agencies, the
bank, recalls, returns, and an audit of conduct at the end of every month. Two agencies break every rule so many times a
month and write it down; the third keeps every rule, close to its limit.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from console.scenario import Story
from flows.conduct import conduct
from flows.engine import run
from infra import gates
from infra.sandbox.agency import Traits
from infra.sandbox.misconduct import Careful, Planted, Rogue, instead
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk
from infra.store import gates as gate_rows
from models.conduct import packs
from models.tables import Breach

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

START = date(2026, 1, 1)
CAST = (
    Cast("quayside", "Quayside Recoveries", share=0.34, traits=Traits(complaints=0.03)),
    Cast("northgate", "Northgate Collections", share=0.33, traits=Traits(complaints=0.03, late_days=6)),
    Cast("lantern", "Lantern Credit", share=0.33),
)
ROGUES = ("quayside", "northgate")
OF_KIND = {
    "night": ("GBT45251-hours", "CBA2026-hours"),
    "connected": ("GBT45251-calls",),
    "dials": ("CBA2026-dials",),
    "third": ("CBA2026-third",),
    "channel": ("PIPL-21-channel",),
    "hold": ("PIPL-21-hold",),
    "recall": ("PIPL-21-recall",),
    "before": ("PIPL-21-before",),
    "after": ("PIPL-21-after",),
    "silent": ("CFC2024-records-silent",),
    "remittance": ("CFC2024-records-remittance",),
    "gap": ("CFC2024-records-gap",),
}
GUIDANCE_FROM = date(2026, 1, 31)
"""The industry's guidance was made public then; before that day it forbids nothing."""


class Year(Story):
    """Twelve months; at the end of each, the agencies are audited."""

    lifted: int = 0

    def _answer(self, day: date) -> None:
        if day.year == START.year:  # keys last a year, and so does the story
            super()._answer(day)

    def _close(self, month: int) -> None:
        super()._close(month)
        self._at(self.world.clock.now.date() + timedelta(days=1), 12)
        run(conduct)
        self._lift()

    def _lift(self) -> None:
        """Two people lift every gate for a month: agencies like these would soon get no accounts to misbehave on."""
        today = self.world.desk.today()
        with self.world.desk.database.read() as connection:
            found = gate_rows.listed(connection, today)
        for number in (row["gate_id"] for row in found if row["stops"]):
            self.lifted += 1
            gates.ask(self.world.desk.acting("chen.yu"), number, today + timedelta(days=40), "the year goes on")
            gates.grant(self.world.desk.acting("li.wei"), number)


def expected(planted: list[Planted], agency: str) -> Counter[tuple[str, str]]:
    """How many breaches of which rule the agency has planted."""
    told: Counter[tuple[str, str]] = Counter()
    for one in planted:
        for rule in OF_KIND[one.kind]:
            if not rule.startswith("CBA2026") or one.day >= GUIDANCE_FROM:
                told[agency, rule] += one.count
    return told


def found(world: World, *states: str) -> Counter[tuple[str, str]]:
    table = bulk.table_of(Breach)
    with world.desk.database.read() as connection:
        rows = connection.execute(select(table.c.agency, table.c.rule_id).where(table.c.state.in_(states))).all()
    return Counter((str(agency), str(rule)) for agency, rule in rows)


@pytest.mark.timeout(1500)
def test_every_planted_breach_is_found_none_is_invented_and_each_names_its_clause(tmp_path: Path) -> None:
    with open_world(tmp_path / "home", seed=11, start=START, cast=CAST, sftp=False, engine="direct") as world:
        for code in ROGUES:
            gap = 5 if code == "northgate" else None
            world.agencies[code] = instead(world.agencies[code], Rogue, each=3, gap_month=gap)
        world.agencies["lantern"] = instead(world.agencies["lantern"], Careful)
        year = Year(world, 1_200, lambda _what, _share: None, months=12)
        year.run()
        world.clock.turn(date(2027, 1, 20))
        last = run(conduct)
        agencies = {code: one for code, one in world.agencies.items() if isinstance(one, Careful)}
        wanted: Counter[tuple[str, str]] = Counter()
        for code, agency in agencies.items():
            wanted += expected(agency.planted, code)

        assert found(world, "open") == wanted
        assert found(world, "withdrawn") == Counter()
        # every rule that can be judged was broken, by both, all year
        judged = {rule.id for rule in packs.load("cn").rules if rule.judged}
        assert {rule for _, rule in wanted} == judged, wanted
        assert {agency for agency, _ in wanted} == set(ROGUES)
        assert all(wanted["quayside", rule] >= 3 for rule in judged if rule != "CFC2024-records-gap"), wanted

        # such agencies are stopped, and it takes two people a month to let them go on
        assert year.lifted >= 6

        # each names its clause, its pack and its evidence, and the line is the agency's own
        table = bulk.table_of(Breach)
        clauses = {rule.id: rule.clause for rule in packs.load("cn").rules}
        with world.desk.database.read() as connection:
            rows = connection.execute(select(table)).all()
        assert all(row.clause == clauses[row.rule_id] and row.pack == "cn" and row.evidence for row in rows)
        assert all(row.file_id and row.line for row in rows if row.evidence.startswith("activity:"))
        # the whole history judged anew says the same
        again = run(conduct, everything=True)
        assert (again.found, again.withdrawn) == (0, 0)
        assert again.contacts > last.contacts
        assert found(world, "open") == wanted
