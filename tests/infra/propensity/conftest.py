"""A lender whose debtors' chances are known: placements over a year, payments as the truth has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sqlmodel import SQLModel

from infra.propensity import versions
from infra.settings import Settings
from infra.store.bulk import append
from infra.wiring import Desk, seated
from models.tables import Account, Activity, Agency, Placement, RemittanceLine

NOW = datetime(2026, 5, 2, 4, tzinfo=UTC)
PLACED, WAITING = 2_400, 600
FIRST = pd.Timestamp("2025-03-01")
MONTHS = 11


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,400 accounts placed over eleven months, of which some paid; 600 that nobody has."""
    home = tmp_path_factory.mktemp("filled")
    with sitting(home) as desk:
        SQLModel.metadata.create_all(desk.database.engine)
        fill(desk)
    return home


@pytest.fixture(scope="session")
def approved(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a model in use, made by chen.yu and approved by li.wei."""
    home = copied(filled, tmp_path_factory.mktemp("approved"))
    with sitting(home) as desk:
        made = versions.fit(desk, "harbour", without=["months_open"])
    with sitting(home, "li.wei") as desk:
        versions.approve(desk, made.model_id)
    return home


@pytest.fixture
def desk(filled: Path, tmp_path: Path) -> Iterator[Desk]:
    """A lender's year of placements, and models that are shown."""
    with sitting(copied(filled, tmp_path)) as desk:
        yield desk


@pytest.fixture
def used(approved: Path, tmp_path: Path) -> Iterator[Desk]:
    """The same with a model in use."""
    with sitting(copied(approved, tmp_path)) as desk:
        yield desk


@contextmanager
def sitting(home: Path, actor: str = "chen.yu") -> Iterator[Desk]:
    """Somebody at the store of that home."""
    desk = Desk(Settings(home=home, engine="direct", durable=False, propensity="shown"), lambda: NOW, actor)
    with seated(desk):
        yield desk
    desk.database.close()


def copied(home: Path, to: Path) -> Path:
    """The store again, in another home."""
    for file in home.glob("consign.sqlite*"):
        shutil.copy(file, to / file.name)
    return to


@pytest.fixture
def as_(request: pytest.FixtureRequest) -> Callable[..., Desk]:
    """A function: the same desk with somebody else at it, or with another setting."""
    desk = request.getfixturevalue("used" if "used" in request.fixturenames else "desk")

    def other(actor: str = "li.wei", propensity: str = "shown") -> Desk:
        told = Desk(desk.settings.model_copy(update={"propensity": propensity}), clock=desk.clock, actor=actor)
        told.database = desk.database
        return told

    return other


def fill(desk: Desk) -> None:
    """The store: every chance follows from dpd, balance and product."""
    rng = np.random.default_rng(11)
    ids = np.arange(1, PLACED + WAITING + 1)
    dpd, balance = rng.integers(5, 300, len(ids)), np.exp(rng.normal(9, 0.8, len(ids)))
    product = rng.choice(["card", "loan"], len(ids))
    chance = expit(0.4 - 0.008 * (dpd - 100) - 0.4 * (np.log(balance) - 9) + 0.5 * (product == "card"))
    out = ids <= PLACED
    placed_on = FIRST + pd.to_timedelta(np.sort(rng.integers(0, MONTHS, PLACED)) * 30, unit="D")
    minor = (balance * 100).round().astype("int64")
    facts = pd.DataFrame({
        "lender": "harbour", "debtor_id": ids, "account_id": ids, "currency": "CNY", "dpd": dpd, "bucket": "M2",
        "balance_minor": minor,
    })  # fmt: skip
    account = facts.assign(
        ref_index=ids.astype(str), portfolio_id=1, product=product, as_of=FIRST, original_minor=minor * 2,
        region=pd.Series(rng.choice(["310115", "440305", "510104"], len(ids)), dtype="str"), rounds=out.astype("int64"),
        opened_on=pd.Series([*placed_on, *[pd.Timestamp("2026-05-02")] * WAITING])
        - pd.Series(pd.to_timedelta(rng.integers(200, 900, len(ids)), unit="D")),
        score_band=pd.Series("B", index=range(len(ids)), dtype="str").where(ids % 2 == 0),
    )  # fmt: skip
    placement = facts[out].assign(
        placement_id=ids[out], plan_id=1, agency=np.where(ids[out] % 2 == 0, "lotus", "quayside"), round=1,
        stage="phone", segment="all", state="placed", placed_on=placed_on,
        due_back_on=placed_on + pd.Timedelta(days=180),
    )  # fmt: skip
    over = placed_on + pd.Timedelta(days=180) <= pd.Timestamp("2026-04-01")
    placement.loc[over, "state"] = "closed"
    placement["ended_on"] = pd.Series(placed_on + pd.Timedelta(days=180), index=placement.index).where(over)
    placement["end_reason"] = pd.Series("term", index=placement.index, dtype="str").where(over)
    paying = np.flatnonzero(rng.random(PLACED) < chance[out])
    line = pd.DataFrame({
        "line_id": paying + 1, "content_id": paying.astype(str), "file_id": 1, "line": paying, "lender": "harbour",
        "agency": placement["agency"].to_numpy()[paying], "placement_id": ids[paying], "account_id": ids[paying],
        "gross_minor": (minor[paying] * rng.uniform(0.05, 0.4, len(paying))).astype("int64"), "net_minor": 1,
        "currency": "CNY", "state": "matched",
        "value_date": placed_on[paying] + pd.to_timedelta(rng.integers(3, 85, len(paying)), unit="D"),
    })  # fmt: skip
    contact = pd.DataFrame({
        "file_id": 2, "line": ids[out], "agency": placement["agency"].to_numpy(), "placement_id": ids[out],
        "at": pd.Series(placed_on + pd.Timedelta(days=2)).dt.tz_localize("UTC"), "offset_minutes": 480,
        "channel": "phone", "outcome": np.where(ids[out] % 3 == 0, "connected", "no_answer"),
    })  # fmt: skip
    with desk.database.write() as connection:
        for table, frame in ((Account, account), (Placement, placement), (RemittanceLine, line), (Activity, contact)):
            append(connection, table, frame.reset_index(drop=True))
    with desk.database.session() as session:
        for code in ("lotus", "quayside"):
            session.add(Agency(agency=code, name=code.title(), drop="{}", created_at=NOW))
