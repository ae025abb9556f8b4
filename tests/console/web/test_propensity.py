"""Models of who pays at the console: fitted by a job, read, approved by a second person, explained, watched, ended."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from console.web.app import create_app
from flows.jobs import work_off
from infra.indexes import ref_index
from infra.people import tokens
from infra.propensity import switching, versions
from infra.rulebooks import RulesAltered
from infra.sandbox.staff import STAFF
from infra.sandbox.world import settings_of
from infra.store import bulk
from infra.wiring import Desk
from models.tables import Account, PropensityModel, Rulebook

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
    """A desk there; `unnamed`: no setting says what models are used for."""
    settings = settings_of(home, engine="direct")
    if propensity != "unnamed":
        settings = settings.model_copy(update={"propensity": propensity})
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
    assert "The settings of this installation say it" in page
    assert manager.send(f"{AT}/use", at=AT, mode="shown", why="the board's decision 7").status_code == 403
    assert "switched off" in manager.get(MODEL).text
    for path in (AT, f"{AT}/ask", f"{MODEL}/approve", f"{MODEL}/drift", f"{MODEL}/account"):
        assert manager.send(path, at=AT, lender="harbour", number="#2500").status_code == 422, path
    assert work_off(desk) == 0


@pytest.mark.parametrize("desk", ["unnamed"], indirect=True)
def test_models_are_used_once_one_proposes_it_and_compliance_approves_and_until_it_is_withdrawn(
    browse: Any, desk: Desk
) -> None:
    manager, officer, second = browse("portfolio_manager"), browse("compliance"), browse("second")
    assert "switched off" in manager.get(AT).text
    for wrong in ({"mode": "shown", "why": ""}, {"mode": "everything", "why": "why not"}, {"mode": "off", "why": "no"}):
        assert manager.send(f"{AT}/use", at=AT, **wrong).status_code == 422, wrong
    assert manager.send(f"{AT}/use", at=AT, mode="shown", why="the board's \\ “decision” 7").status_code == 303
    page = manager.get(AT).text
    assert ("the board&#39;s \\ “decision” 7" in page, "chances beside the accounts" in page) == (True, True)
    assert switching.switched(desk) == "off"
    assert manager.send(f"{AT}/use/1/approve", at=AT).status_code == 403
    assert browse("finance").send(f"{AT}/use", at="/", mode="bands", why="more").status_code == 403
    assert officer.send(f"{AT}/use/1/approve", at=AT).status_code == 303
    assert switching.switched(desk) == "shown"
    assert "Fit a model" in manager.get(AT).text
    assert second.send(f"{AT}/use", at=AT, mode="bands", why="segments by chance").status_code == 303
    assert second.send(f"{AT}/use/2/approve", at=AT).status_code == 403, "their own"
    assert officer.send(f"{AT}/use/2/approve", at=AT).status_code == 303
    assert switching.switched(desk) == "bands"
    assert manager.send(f"{AT}/use/2/withdraw", at=AT, reason="stop").status_code == 403, "compliance ends it"
    assert officer.send(f"{AT}/use/2/withdraw", at=AT, reason="").status_code == 422
    assert officer.send(f"{AT}/use/2/withdraw", at=AT, reason="complaint 12").status_code == 303
    assert switching.switched(desk) == "off"
    assert "complaint 12" in officer.get(AT).text


@pytest.mark.parametrize("desk", ["unnamed"], indirect=True)
def test_a_use_that_somebody_wrote_into_the_store_switches_nothing_on(browse: Any, desk: Desk) -> None:
    assert browse("compliance").send(f"{AT}/use", at=AT, mode="shown", why="decision 7").status_code == 303
    with desk.database.write() as connection:
        connection.execute(update(bulk.table_of(Rulebook)).values(state="in_force", approved_by="l.wang"))
        connection.execute(update(bulk.table_of(Rulebook)).values(toml=Rulebook.toml + "\n"))
    with pytest.raises(RulesAltered):
        switching.switched(desk)


def test_age_bands_that_compliance_released_come_with_a_fit_and_are_gone_when_it_is_made(
    browse: Any, desk: Desk
) -> None:
    manager = browse("portfolio_manager")
    manager.get(AT)
    listed = "\n".join(f"{account},{'18-29' if account % 2 else '30+'}" for account in range(1, 3_001))
    file = {"age_bands": ("ages.csv", f"account_id,age_band\n{listed}\n", "text/csv")}
    given = {"_form": manager.word, "lender": "harbour", "without": ["months_open"]}
    job = manager.post(AT, data=given, files=file).headers["location"]
    kept = list(desk.folder("uploads").glob("*.sealed"))
    assert len(kept) == 1
    assert b"18-29" not in kept[0].read_bytes()
    work_off(desk)
    assert 'href="/propensity/2"' in manager.get(job).text
    assert "18-29" in manager.get(f"{AT}/2").text
    assert list(desk.folder("uploads").glob("*.sealed")) == []
    wrong = {"age_bands": ("ages.csv", "id,age\n1,2\n", "text/csv")}
    failed = manager.post(AT, data=given, files=wrong).headers["location"]
    work_off(desk)
    assert "no list of age bands" in manager.get(failed).text


@pytest.mark.parametrize("desk", ["unnamed"], indirect=True)
def test_the_same_through_the_api(desk: Desk) -> None:
    with TestClient(create_app(desk), raise_server_exceptions=False) as client:

        def ask(actor: str, method: str, path: str, **body: Any) -> Any:
            headers = {"Authorization": f"Bearer {tokens.make(desk.acting(actor), actor, 'tests').token}"}
            return client.request(method, f"/api/v1/propensity/{path}", headers=headers, **body)

        manager, officer = STAFF["portfolio_manager"], STAFF["compliance"]
        assert ask(manager, "GET", "use").json() == {"propensity": "off", "by_settings": False, "versions": []}
        ages = {"file": ("ages.csv", "account_id,age_band\n1,18-29\n", "text/csv")}
        assert ask(manager, "POST", "age-bands", files=ages).status_code == 422, "switched off"
        wanted = {"propensity": "shown", "why": "the board's decision 7"}
        assert ask(STAFF["finance"], "POST", "use", json=wanted).status_code == 403
        made = ask(manager, "POST", "use", json=wanted)
        assert (made.status_code, made.json()["versions"][0]["state"]) == (201, "proposed")
        assert ask(manager, "POST", "use/1/approve").status_code == 403
        assert ask(officer, "POST", "use/1/approve").json()["propensity"] == "shown"
        upload = ask(manager, "POST", "age-bands", files=ages).json()["upload"]
        fit = {"lender": "harbour", "age_bands": upload}
        assert ask(officer, "POST", "age-bands", files=ages).status_code == 403
        assert ask(manager, "POST", "models", json=fit | {"age_bands": "f" * 32}).status_code == 422, "gone"
        job = ask(manager, "POST", "models", json=fit)
        assert (job.status_code, upload in job.json()["identifiers"]) == (202, True)
        assert ask(manager, "POST", "models/1/drift").json()["verb"] == "drift"
        assert ask(officer, "POST", "use/1/withdraw", json={"reason": "complaint 12"}).json()["propensity"] == "off"


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
