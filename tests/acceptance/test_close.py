"""Finance closes a month on it: from the files to closed statements, by the how-to's own commands."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from console.scenario import Story
from infra.sandbox.world import AGENCIES, open_world, transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Needs

BLOCKS = ("check", "state", "accept", "close", "export", "verify", "reopen")
STRANGER = {
    "reference": "who is this",
    "amount_minor": 12_345,
    "currency": "CNY",
    "value_date": pd.Timestamp(2026, 4, 17),
}


class April(Story):
    """One month of the sandbox; the bank's statement has a transfer that nobody knows."""

    def _bank(self, lender: str, month: int, end: date) -> None:
        from flows.engine import run
        from flows.reconcile import import_statement

        came = transfers(self.world, lender, end).rename(columns={"payer": "payer_account"})
        came = pd.concat([came, pd.DataFrame([STRANGER]).astype({"reference": "str"})], ignore_index=True)
        path = self.world.desk.folder("bank") / f"{lender}.xml"
        self.banks[lender].write(path, came, self.world.day(month, 1), end)
        run(import_statement, path=path, lender=lender, new_account=True)


@pytest.fixture(scope="module")
def april(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that finance works in: acme's month of April lies in it, reconciled and stated."""
    folder = tmp_path_factory.mktemp("finance")
    cast = tuple(one for one in AGENCIES if one.code in {"quayside", "dingsheng"})
    with open_world(
        folder / "var",
        seed=11,
        start=date(2026, 4, 1),
        cast=cast,
        lenders={"acme": "Acme"},
        sftp=False,
        engine="direct",
    ) as world:
        April(world, 150, lambda _what, _share: None, months=1, lenders=("acme",)).run()
    return folder


def test_a_month_is_closed_checked_outside_and_opened_again_by_the_how_to(
    april: Path, page: Callable[..., Any], needs: Needs
) -> None:
    needs("hledger")
    pytest.importorskip("beancount")
    followed = page(
        "close-a-month.md", BLOCKS, april, CONSIGN_ACTOR="chen.yu",
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )  # fmt: skip
    said = followed.said
    assert "unapplied" in said["check"]
    assert "Accepted" in said["accept"]
    assert "Closed" in said["close"]
    assert "dingsheng" in said["close"]
    assert "Exported" in said["export"]
    assert "what was closed" in said["verify"]
    assert "Open again" in said["reopen"]
    text = (april / "acme-2026-04.journal").read_text(encoding="utf-8")
    assert "balances at the end of 2026-04" in text
