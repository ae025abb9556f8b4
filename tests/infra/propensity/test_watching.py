"""Whether a model in use still fits: told by an exception, which resolves itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from infra.propensity import versions, watching
from infra.store.bulk import append
from infra.wiring import Desk
from models.propensity import drift
from models.tables import Placement

As = Callable[..., Desk]
LATER = datetime(2026, 9, 2, 4, tzinfo=UTC)


def exceptions(desk: Desk) -> list[str]:
    """States of the drift exceptions."""
    with desk.database.read() as connection:
        found = connection.execute(text("SELECT state FROM exchange_exception WHERE code = 'propensity_drift'"))
        return [str(state) for (state,) in found]


def test_the_same_sort_of_accounts_does_not_warn(used: Desk) -> None:
    found = watching.look(used, "harbour")
    assert set(found.facts["state"]) == {drift.STABLE}
    assert found.months.empty
    assert watching.watch(used) == watching.Watched(models=1)
    assert exceptions(used) == []


def test_other_accounts_open_an_exception_and_the_same_ones_resolve_it(used: Desk) -> None:
    with used.database.write() as connection:
        connection.execute(text("UPDATE account SET dpd = dpd + 200"))
    assert watching.look(used, "harbour").moved == 1
    assert (watching.watch(used).opened, watching.watch(used).opened) == (1, 0)
    with used.database.write() as connection:
        connection.execute(text("UPDATE account SET dpd = dpd - 200"))
    assert watching.watch(used).resolved == 1
    assert exceptions(used) == ["resolved"]


def test_a_month_in_which_nobody_pays_warns(used: Desk, as_: As) -> None:
    later = as_("chen.yu")
    later.clock = lambda: LATER
    ids = np.arange(10_001, 10_501)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "placement_id": ids, "plan_id": 2, "lender": "harbour", "agency": "lotus", "account_id": ids - 10_000,
        "debtor_id": ids - 10_000, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
        "balance_minor": np.exp(rng.normal(13.6, 0.8, len(ids))).astype("int64"), "dpd": rng.integers(5, 300, len(ids)),
        "bucket": "M2", "placed_on": pd.Timestamp("2026-05-05"), "due_back_on": pd.Timestamp("2026-11-05"),
        "state": "placed",
    })  # fmt: skip
    with used.database.write() as connection:
        append(connection, Placement, frame)
    found = watching.look(later, "harbour")
    assert found.months["month"].tolist() == ["2026-05"]
    assert found.months["state"].tolist() == [drift.WARN]
    assert found.off == 1
    assert watching.watch(later).warned == 1


@pytest.mark.usefixtures("used")
def test_where_it_is_off_nothing_is_watched(as_: As) -> None:
    assert watching.watch(as_(propensity="off")) == watching.Watched()
    with pytest.raises(versions.SwitchedOff):
        watching.look(as_(propensity="off"), "harbour")
