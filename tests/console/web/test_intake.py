"""Portfolios taken in at the console: handed in, checked, looked at, and only then taken in; lenders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from console.web.app import create_app
from flows import jobs
from flows.engine import is_identifier
from infra import profiles, uploads
from infra.people import tokens
from infra.sandbox import debtors
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk
from models.tables import Account, Lender, Portfolio

if TYPE_CHECKING:
    from pathlib import Path

    from httpx2 import Response

    from infra.wiring import Desk
    from tests.console.web.conftest import Browser, StillClock

ACCOUNTS, LENDERS, PORTFOLIOS = (bulk.table_of(table) for table in (Account, Lender, Portfolio))
SECRET = "Zhang Sanfeng"
"""A debtor's name that must be found nowhere."""


@pytest.fixture
def lines(desk: Desk) -> pd.DataFrame:
    """Forty accounts that no lender has yet, as a lender hands them in."""
    return debtors.portfolio(99, 40, "harbour", desk.today()).assign(name=SECRET)


def handed_in(browser: Browser, content: bytes, name: str = "march.csv", **fields: str) -> Response:
    browser.get("/portfolios/new")
    given = {"_form": browser.word, "lender": "harbour", "profile": "consign", "as_of": "2026-03-02", "threshold": "0"}
    return browser.post("/portfolios/new", data=given | fields, files={"file": (name, content)})


def in_format(lines: pd.DataFrame, folder: Path, name: str) -> bytes:
    path = folder / name
    {"csv": lambda: lines.to_csv(path, index=False), "xlsx": lambda: lines.to_excel(path, index=False),
     "parquet": lambda: lines.to_parquet(path, index=False)}[name.rpartition(".")[2]]()  # fmt: skip
    return path.read_bytes()


def spoil(lines: pd.DataFrame, column: str, place: int, cell: str) -> None:
    """The cell says something else."""
    cells = lines[column].astype("str").tolist()
    cells[place] = cell
    lines[column] = cells


def counted(desk: Desk, table: Any) -> int:
    with desk.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def in_clear(desk: Desk, text: str) -> list[Path]:
    """Files below home that hold the text as it is."""
    return [path for path in desk.settings.home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def looked_at(browser: Browser, desk: Desk, content: bytes, **fields: Any) -> tuple[str, str]:
    """Where the page of the checked file is, and what it says."""
    answer = handed_in(browser, content, **fields)
    assert answer.status_code == 303, answer.text
    at = answer.headers["location"]
    assert "It is being checked" in browser.get(at).text
    assert jobs.work_off(desk) == 1
    return at, browser.get(at).text


@pytest.mark.parametrize("form", ["march.csv", "march.xlsx", "march.parquet"])
def test_a_portfolio_is_checked_first_and_comes_in_when_somebody_says_so(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path, form: str
) -> None:
    before, content = counted(desk, ACCOUNTS), in_format(lines, tmp_path, form)
    browser = browse("portfolio_manager")
    at, page = looked_at(browser, desk, content, name=form)
    assert "It can come in" in page
    assert "40 new accounts, 0 known" in page
    assert counted(desk, ACCOUNTS) == before
    assert browser.send(f"{at}/import").status_code == 303
    assert jobs.work_off(desk) == 1
    page = browser.get(at).text
    assert "40 accounts are new" in page, page[page.index('id="looked"') :]
    assert counted(desk, ACCOUNTS) == before + 40
    assert not list(desk.folder("uploads").iterdir())
    with desk.database.read() as connection:
        newest = connection.execute(select(PORTFOLIOS).order_by(PORTFOLIOS.c.portfolio_id.desc())).first()
    assert newest is not None
    assert (newest.source, newest.lender, newest.rows_accepted) == (form, "harbour", 40)
    assert f"/portfolios/{newest.portfolio_id}" in page
    _, page = looked_at(browser, desk, content, name=form)
    assert "This file is in already" in page


def test_nothing_of_a_debtor_lies_in_clear_while_the_file_waits_nor_after(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path
) -> None:
    browser = browse("portfolio_manager")
    content = in_format(lines, tmp_path, "march.csv")
    at, page = looked_at(browser, desk, content)
    upload = at.rpartition("/")[2]
    assert len(list(desk.folder("uploads").glob("*.sealed"))) == 1
    assert in_clear(desk, SECRET) == []
    assert in_clear(desk, str(lines["account_ref"].iloc[0])) == []
    assert SECRET not in page
    assert SECRET.encode() in uploads.found(desk, upload).opened().read()
    browser.send(f"{at}/import")
    jobs.work_off(desk)
    assert in_clear(desk, SECRET) == []
    with pytest.raises(uploads.UploadGone):
        uploads.found(desk, upload)


def test_what_would_be_refused_is_told_by_line_and_code_and_taken_away_without_a_value(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path
) -> None:
    spoil(lines, "balance", 3, "=1+cmd|evil")
    spoil(lines, "account_ref", 9, str(lines["account_ref"].iloc[8]))
    browser = browse("operations")
    content = in_format(lines, tmp_path, "march.csv")
    at, page = looked_at(browser, desk, content)
    assert "It would not come in" in page
    assert "evil" not in page
    refused = browser.send(f"{at}/import")
    assert refused.status_code == 422
    assert "more lines are refused" in refused.text
    kept = browser.get(f"{at}/findings.csv")
    assert kept.headers["content-disposition"].startswith("attachment")
    told = pd.read_csv(tmp_path / _written(tmp_path, kept.content))
    assert list(zip(told["line"], told["code"], strict=True)) == [(4, "not_amount"), (10, "repeated")]
    assert "evil" not in kept.text
    only = browser.get(f"{at}?code=repeated").text
    assert "not_amount" not in only.partition('id="lines"')[2]
    at, page = looked_at(browser, desk, content, threshold="0.1")
    assert "It can come in" in page
    browser.send(f"{at}/import")
    jobs.work_off(desk)
    with desk.database.read() as connection:
        number = connection.execute(select(func.max(PORTFOLIOS.c.portfolio_id))).scalar_one()
    away = browser.get(f"/portfolios/{number}/rejects.csv").text
    assert away.splitlines()[0] == "line,field,code,fix"
    assert len(away.splitlines()) == 3


def _written(folder: Path, content: bytes) -> str:
    (folder / "findings.csv").write_bytes(content)
    return "findings.csv"


def test_how_the_columns_were_read_is_told_once_the_header_proved_to_be_one(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path
) -> None:
    browser = browse("portfolio_manager")
    _, page = looked_at(browser, desk, in_format(lines.assign(shoe_size="44"), tmp_path, "march.csv"))
    assert "shoe_size" in page.partition("nobody reads:")[2][:200]
    headless = in_format(lines, tmp_path, "march.csv").partition(b"\n")[2]
    _, page = looked_at(browser, desk, headless)
    assert "does not have the columns of the profile" in page
    assert SECRET not in page
    assert str(lines["account_ref"].iloc[0]) not in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lender": "nobody"}, "no such lender"),
        ({"profile": "../../../etc/passwd"}, "none of the choices"),
        ({"profile": "x.toml"}, "none of the choices"),
        ({"as_of": ""}, "of which day"),
        ({"as_of": "yesterday"}, "that is no day"),
        ({"threshold": "2"}, "share from 0 to 1"),
        ({"name": "march.exe"}, "a portfolio comes as"),
        ({"name": "march.csv.gz"}, "a portfolio comes as"),
        ({"content": b""}, "the file is empty"),
    ],
)
def test_what_cannot_be_right_is_said_at_once_and_kept_nowhere(
    browse: Any, desk: Desk, fields: dict[str, Any], said: str
) -> None:
    answer = handed_in(browse("portfolio_manager"), **{"content": b"a,b\n1,2\n"} | fields)
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert not list(desk.folder("uploads").iterdir())
    assert jobs.work_off(desk) == 0


def test_another_person_finds_no_file_of_mine_and_takes_none_in(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path
) -> None:
    at, _ = looked_at(browse("portfolio_manager"), desk, in_format(lines, tmp_path, "march.csv"))
    other = browse("operations")
    assert other.get(at).status_code == 404
    assert other.get(f"{at}/findings.csv").status_code == 404
    assert other.send(f"{at}/import").status_code == 404
    assert other.send(f"{at}/drop").status_code == 404
    assert browse("finance").get("/portfolios/new").status_code == 403
    for wrong in ("1", "..%2f..%2fetc", uploads.fresh_name()):
        assert other.get(f"/portfolios/new/{wrong}").status_code == 404


def test_a_file_that_nobody_comes_back_to_is_gone_after_an_hour_unless_a_job_waits_for_it(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path, clock: StillClock
) -> None:
    browser = browse("portfolio_manager")
    at, _ = looked_at(browser, desk, in_format(lines, tmp_path, "march.csv"))
    clock.pass_(minutes=59)
    assert uploads.sweep(desk) == 0
    browser.cookies.set("consign_session", "")
    browser = browse("portfolio_manager")
    browser.send(f"{at}/import", at="/account")
    clock.pass_(minutes=30)
    assert uploads.sweep(desk) == 0
    jobs.work_off(desk)
    at, _ = looked_at(browse("portfolio_manager"), desk, in_format(lines, tmp_path, "march.csv"))
    clock.pass_(minutes=61)
    assert uploads.sweep(desk) == 1
    assert not list(desk.folder("uploads").iterdir())
    assert "no longer here" in browse("portfolio_manager").get(at).text


def test_the_name_of_an_upload_goes_to_a_verb_whatever_was_drawn() -> None:
    names = [uploads.fresh_name() for _ in range(1_000)]
    assert len(set(names)) == len(names)
    assert all(is_identifier(uploads.PREFIX + name) for name in names)


def test_a_file_is_thrown_away_at_once(browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path) -> None:
    browser = browse("portfolio_manager")
    at, _ = looked_at(browser, desk, in_format(lines, tmp_path, "march.csv"))
    assert browser.send(f"{at}/drop").headers["location"] == "/portfolios"
    assert not list(desk.folder("uploads").iterdir())


# -- how columns are read ----------------------------------------------------------------------------------------------


def test_a_profile_of_the_house_s_own_is_checked_kept_and_used(
    browse: Any, desk: Desk, lines: pd.DataFrame, tmp_path: Path
) -> None:
    browser = browse("portfolio_manager")
    at = "/portfolio-profiles"
    toml = profiles.text_of(desk, "consign").replace('"consign"', '"northbank"', 1).replace('"name"', '"who"')
    assert "There is a problem" in browser.send(at, at=at, text="name = ").text
    assert "is sound" in browser.send(at, at=at, text=toml).text
    assert not (desk.folder(profiles.FOLDER) / "northbank.toml").exists()
    assert browser.send(at, at=at, text=toml.replace("\n", "\r\n"), keep="1").status_code == 303
    assert browser.send(at, at=at, text=toml + "\n# more\n", keep="1").status_code == 422
    assert browser.send(at, at=at, text=profiles.text_of(desk, "consign"), keep="1").status_code == 422
    assert browser.get(f"{at}?name=../consign").status_code == 422
    assert "who" in browser.get(f"{at}?name=northbank").text
    content = in_format(lines.rename(columns={"name": "who"}), tmp_path, "march.csv")
    where, page = looked_at(browser, desk, content, profile="northbank")
    assert "It can come in" in page
    browser.send(f"{where}/import")
    jobs.work_off(desk)
    assert "It is in" in browser.get(where).text
    assert browse("finance").get(at).status_code == 403


# -- lenders -----------------------------------------------------------------------------------------------------------


def test_a_lender_is_added_once_and_its_name_is_text(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    script = "<script>alert(1)</script>"
    good = {"lender": "newbank", "name": script, "country": "sg", "timezone": "Asia/Singapore"}
    for wrong in ({"lender": "NO"}, {"name": " "}, {"country": "Mars"}, {"timezone": "Mars/Base"}):
        answer = manager.send("/lenders", at="/lenders", **good | wrong)
        assert answer.status_code == 422, wrong
        assert 'role="alert"' in answer.text
    assert manager.send("/lenders", at="/lenders", **good).status_code == 303
    assert manager.send("/lenders", at="/lenders", **good).status_code == 303
    assert manager.send("/lenders", at="/lenders", **good | {"name": "Other"}).status_code == 422
    page = manager.get("/lenders").text
    assert script not in page
    assert "Asia/Singapore" in page
    with desk.database.read() as connection:
        row = connection.execute(select(LENDERS).where(LENDERS.c.lender == "newbank")).one()
    assert row.country == "SG"
    assert browse("finance").send("/lenders", at="/lenders", **good).status_code == 403
    assert "newbank" in manager.get("/portfolios/new").text


# -- through the API ---------------------------------------------------------------------------------------------------


def test_a_program_hands_a_portfolio_in_looks_and_takes_it_in(desk: Desk, lines: pd.DataFrame, tmp_path: Path) -> None:
    maker = STAFF["portfolio_manager"]
    head = {"Authorization": f"Bearer {tokens.make(desk.acting(maker), maker, 'tests').token}"}
    spoil(lines, "balance", 3, "x")
    given = {"lender": "harbour", "profile": "consign", "as_of": "2026-03-02", "threshold": "0.1"}
    file = {"file": ("march.csv", in_format(lines, tmp_path, "march.csv"))}
    with TestClient(create_app(desk)) as client:
        made = client.post("/api/v1/portfolio-uploads", data=given, files=file, headers=head)
        assert made.status_code == 202, made.text
        assert made.json()["state"] == "checking"
        at = f"/api/v1/portfolio-uploads/{made.json()['upload']}"
        assert client.post(f"{at}/import", headers=head).status_code == 422
        jobs.work_off(desk)
        told = client.get(at, headers=head).json()
        assert (told["state"], told["accepted"], told["refused"]) == ("checked", 39, 1)
        assert told["found"]["refused"] == {"not_amount": 1}
        (line,) = client.get(f"{at}/findings", headers=head).json()["items"]
        assert (line["line"], line["field"]) == (4, "balance")
        assert client.post(f"{at}/import", headers=head).json()["state"] == "importing"
        jobs.work_off(desk)
        told = client.get(at, headers=head).json()
        assert (told["state"], told["new"]) == ("imported", 39)
        refused = client.get(f"/api/v1/portfolios/{told['portfolio_id']}/refused-lines", headers=head).json()["items"]
        assert [one["code"] for one in refused] == ["not_amount"]
        other = {"Authorization": f"Bearer {tokens.make(desk.acting(SECOND), SECOND, 'tests').token}"}
        assert client.get(at, headers=other).status_code == 404


# -- on its way in -----------------------------------------------------------------------------------------------------


def test_an_upload_larger_than_memory_s_share_lies_unreadable_while_it_comes(desk: Desk) -> None:
    text = b"Zhang Sanfeng,310104197801269997\n" * 100_000
    coming = uploads.receiving(desk)
    coming.write(text[:1_000_001])
    coming.write(text[1_000_001:])
    coming.seek(0)
    assert coming.read() == text
    coming.seek(500_003)
    assert coming.read(100) == text[500_003:500_103]
    plain = coming._file
    plain.seek(0)
    assert b"Sanfeng" not in plain.read()
    assert not list(desk.folder("uploads").iterdir())
    coming.close()


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_portfolio_is_taken_in_with_a_browser_and_its_progress_is_seen(
    page_as: Any, running: Any, tmp_path: Path, language: str
) -> None:
    path = tmp_path / f"{language}.csv"
    debtors.portfolio(5 if language == "en" else 6, 30, "harbour", running.desk.today()).to_csv(path, index=False)
    window = page_as("portfolio_manager", language)
    window.go("/lenders")
    page = window.go("/portfolios/new")
    page.set_input_files("#f-file", str(path))
    page.click("main form .button-main")
    page.wait_for_selector("#looked[data-ended] .cards")
    window.look()
    page.click("#looked .button-main")
    page.wait_for_selector("#looked[data-ended] a[href^='/portfolios/']")
    window.look()
    assert ("It is in." if language == "en" else "已导入。") in page.inner_text("#looked")
