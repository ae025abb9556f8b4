"""After every month of the sandbox the books balance in hledger and in beancount, and the month closes and stays."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.scenario import Story
from infra import closing
from infra.books.export import export
from infra.sandbox.world import AGENCIES, Cast, World, open_world

if TYPE_CHECKING:
    from tests.conftest import Needs

SEED = 20260101


class Closing(Story):
    """The demo's months, each exported, checked outside and closed on the first day of the next."""

    def _close(self, month: int) -> None:
        super()._close(month)
        period = f"{self.world.day(month, 1):%Y-%m}"
        self.world.clock.turn(self.world.day(month + 1, 1), 1)
        for lender in sorted(self.cohorts):
            balances_outside(self.world, lender, period)
            close(self.world, lender, period)
        assert [one for one in closing.verified(self.world.desk) if not one["holds"]] == []


def balances_outside(world: World, lender: str, period: str) -> None:
    """Programs that are not ours read the books, and come to the balances that the database has."""
    folder = world.desk.folder("books")
    checks: dict[str, list[str]] = {
        "journal": ["hledger", "check", "--strict", "-f"],
        "beancount": [str(Path(sys.executable).with_name("bean-check"))],
    }
    for ending, words in checks.items():
        path = folder / f"{lender}-{period}.{ending}"
        written = export(world.desk, lender, path)
        assert (written.until, written.lines > 0) == (period, True)
        said = subprocess.run([*words, path], capture_output=True, text=True, check=False, timeout=120)
        assert said.returncode == 0, said.stderr


def close(world: World, lender: str, period: str) -> None:
    """The month is closed; what is open of breaks, money and invoices is accepted, and nothing else."""
    for one in closing.check(world.desk, lender, period):
        if one.stops:
            assert one.finding in {"unapplied", "invoices_waiting", "breaks_overdue"}, one
            closing.accept(world.desk, lender, period, one.finding, "seen, and goes on into the next month")
    assert closing.close(world.desk, lender, period).new


@pytest.mark.parametrize(
    ("cast", "months", "accounts"),
    [
        pytest.param(tuple(one for one in AGENCIES if one.code in {"quayside", "dingsheng"}), 2, 200, id="two months"),
        pytest.param(AGENCIES, 6, 600, id="the demo", marks=pytest.mark.slow),
    ],
)
def test_the_books_of_every_month_balance_outside_and_stay_closed(
    needs: Needs, tmp_path: Path, cast: tuple[Cast, ...], months: int, accounts: int
) -> None:
    needs("hledger")
    pytest.importorskip("beancount")
    with open_world(
        tmp_path / "home", seed=SEED, start=date(2026, 1, 1), cast=cast, sftp=False, engine="direct"
    ) as world:
        told = Closing(world, accounts, lambda _what, _share: None, months=months).run()
        assert told.journal_balanced
        assert told.audit_verified
        listed = closing.listed(world.desk)["closings"]
        assert len(listed) == 2 * months
        assert {one["state"] for one in listed} == {"closed"}
        assert sum(one["entries"] for one in listed) > 0
