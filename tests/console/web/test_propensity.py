"""Models of who pays at the console: fitted by a job, read, approved by a second person, explained, watched, ended."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from flows.jobs import work_off
from infra.indexes import ref_index
from infra.propensity import versions
from infra.sandbox.world import settings_of
from infra.store import bulk
from infra.wiring import Desk
from models.tables import Account, PropensityModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.console.web.conftest import PageAs

NOW = datetime(2026, 5, 2, 4, tzinfo=UTC)
AT = "/propensity"
MODEL = f"{AT}/1"
ACCOUNTS, MODELS = bulk.table_of(Account), bulk.table_of(PropensityModel)


@pytest.fixture(scope="module")
def sandbox_home(bare_home: Path, payers: Callable[[Desk], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lender's year of placements, and a model that chen.yu made of it."""
    home = tmp_path_factory.mktemp("fitted") / "home"
    shutil.copytree(bare_home, home)
    desk = seat(home, "chen.yu")
    payers(desk)
    assert versions.fit(desk, "harbour", without=["months_open"]).model_id == 1
    desk.database.close()
    return home


def seat(home: Path, actor: str, propensity: str = "shown") -> Desk:
    settings = settings_of(home, engine="direct").model_copy(update={"propensity": propensity})
    return Desk(settings, clock=lambda: NOW, actor=actor)


@pytest.fixture
def desk(sandbox_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The console's desk on a copy; `parametrize("desk", ["off"], indirect=True)` has models switched off."""
    shutil.copytree(sandbox_home, tmp_path / "home")
    made = seat(tmp_path / "home", "console", getattr(request, "param", "shown"))
    yield made
    made.database.close()


def test_a_model_is_asked_for_by_a_form_and_made_by_a_job(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    for wrong in (
        {"lender": "nobody"}, {"lender": "harbour", "horizon_days": "0"}, {"lender": "harbour", "as_of": "soon"},
        {"lender": "harbour", "as_of": "2030-01-01"}, {"lender": "harbour", "without": "ethnicity"},
        {"lender": "harbour", "horizon_days": "x"},
    ):  # fmt: skip
        assert manager.send(AT, at=AT, **wrong).status_code == 422, wrong
    job = manager.send(AT, at=AT, lender="lotus", horizon_days="90", without=["dpd", "round"]).headers["location"]
    work_off(desk)
    assert "placements" in manager.get(job).text, "too few: the job says so"
    same = manager.send(AT, at=AT, lender="harbour", without="months_open").headers["location"]
    work_off(desk)
    assert 'href="/propensity/1"' in manager.get(same).text, "made of the very same: it is the one that is there"
    page = manager.get(AT).text
    assert "Waits for approval" in page
    assert "No model has been made yet" in manager.get(f"{AT}?lender=lotus").text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_shows_what_it_was_made_of_what_it_refused_and_whether_chances_come_true(
    browse: Any, desk: Desk, language: str
) -> None:
    page = browse("compliance", language=language).get(MODEL).text
    with desk.database.read() as connection:
        row, _model = versions.named(connection, 1)
    told = versions.told(row, fresh=False)
    assert page.count('class="calibration-dot"') == 10
    assert f">{told.auc:.3f}<" in page
    assert "gender" in page
    assert row.sha256[:16] in page
    for group in ("31", "44", "51"):
        assert f"<td>{group}</td>" in page
    assert "<script>" not in page.split("<main", 1)[1]


def test_a_second_person_approves_and_one_person_ends_it(browse: Any, desk: Desk) -> None:
    mine, theirs = browse("portfolio_manager"), browse("second")
    assert "You made it" in mine.get(MODEL).text
    assert mine.send(f"{MODEL}/approve", at=MODEL).status_code == 403
    assert browse("compliance").send(f"{MODEL}/approve", at=MODEL).status_code == 403
    assert theirs.send(f"{MODEL}/approve", at=MODEL).status_code == 303
    assert theirs.send(f"{MODEL}/approve", at=MODEL).status_code == 403, "it is in use"
    assert mine.send(f"{AT}/ask", at=AT).status_code == 303
    work_off(desk)
    assert mine.send(f"{MODEL}/withdraw", at=MODEL, reason=" ").status_code == 422
    assert mine.send(f"{MODEL}/withdraw", at=MODEL, reason="another portfolio").status_code == 303
    assert "another portfolio" in mine.get(MODEL).text
    with desk.database.read() as connection:
        assert connection.execute(select(MODELS.c.state)).scalars().all() == ["withdrawn"]


def test_one_account_s_chance_is_taken_apart_and_its_number_stands_in_no_address(browse: Any, desk: Desk) -> None:
    import pandas as pd

    number = "6217000011112222"
    index = ref_index(desk.keyring, pd.Series([number], dtype="str")).iloc[0]
    with desk.database.write() as connection:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account_id == 2500).values(ref_index=index))
    manager = browse("portfolio_manager")
    where = manager.send(f"{MODEL}/account", at=MODEL, number=number).headers["location"]
    assert where == f"{MODEL}?account=2500#account"
    page = manager.get(where).text
    assert "Account #2500" in page
    shown = re.search(r'<p class="value">([\d.]+)%', page)
    assert shown is not None
    assert 0 < float(shown[1]) < 100
    for wrong in ("", "0000", "#999999"):
        answer = manager.send(f"{MODEL}/account", at=MODEL, number=wrong)
        assert answer.status_code == 422, wrong
    assert manager.get(f"{MODEL}?account=x").status_code == 422
    assert manager.get(f"{AT}/99").status_code == 422


def test_whether_it_still_fits_is_looked_at_by_a_job(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    assert "Nobody has looked" in manager.get(MODEL).text
    job = manager.send(f"{MODEL}/drift", at=MODEL).headers["location"]
    work_off(desk)
    assert 'href="/propensity/1"' in manager.get(job).text
    assert "PSI" in manager.get(MODEL).text


@pytest.mark.parametrize("desk", ["off"], indirect=True)
def test_switched_off_nothing_is_done_and_the_page_says_how_to_switch_it_on(browse: Any, desk: Desk) -> None:
    manager = browse("second")
    page = manager.get(AT).text
    assert "propensity = &#34;shown&#34;" in page
    assert "switched off" in manager.get(MODEL).text
    for path in (AT, f"{AT}/ask", f"{MODEL}/approve", f"{MODEL}/drift", f"{MODEL}/account"):
        assert manager.send(path, at=AT, lender="harbour", number="#2500").status_code == 422, path
    assert work_off(desk) == 0


def test_numbers_that_somebody_changed_are_not_shown(browse: Any, desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(update(MODELS).values(numbers="{}"))
    answer = browse("portfolio_manager").get(MODEL)
    assert answer.status_code == 403
    assert "not those that were made" in answer.text


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "size", "dark"), [("en", (1440, 900), False), ("zh", (390, 844), True)], ids=["desk", "phone"]
)
def test_the_list_and_a_card_pass_axe_in_both_languages(
    page_as: PageAs, language: str, size: tuple[int, int], *, dark: bool
) -> None:
    window = page_as("second", language, size, dark=dark)
    window.go(AT)
    page = window.go(MODEL)
    for summary in page.locator("details.card > summary").all():
        summary.click()
    window.look()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
