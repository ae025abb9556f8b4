"""Forecasts, contracts, what a month would cost otherwise, and the books for another program."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from python_calamine import load_workbook

from console.web import agreed
from console.web.language import say
from flows import jobs as working
from infra import comparisons, contracts, jobs, workedout
from infra.books import taken
from infra.forecasts import drawing, keeping
from infra.store import contracts as store
from models.contract import Contract
from models.contract.writing import changed

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import As

TERMS = """\
currency = "CNY"
basis = "mixed"
case_fee_minor = 1500
remits = "net"
vat_rate = "0.06"
late_days = 5
direct_payments = true
direct_rate = "0.05"
payer_accounts = ["6222000000007777"]

[[tier]]
rate = "0.18"
dpd_from = 31
dpd_to = 90
product = "cash_loan"
stage = "legal"
steps = [{ from_minor = 1000000, rate = "0.2" }]

[[tier]]
rate = "0.3"
balance_from_minor = 500000

[payee]
name = "North Ltd"
account = "6222000000001234"
cnaps = "102100099996"

[clocks]
acknowledge_within = "2 days"
"""


def ran(desk: Desk, location: str) -> Any:
    """The job that an answer led to, once it was worked off."""
    assert location.startswith("/jobs/")
    working.work_off(desk)
    return jobs.found(desk, int(location.removeprefix("/jobs/")))


# --- the forecast -----------------------------------------------------------------------------------------------------


def test_a_forecast_is_asked_for_shown_and_taken_away(browse: As, desk: Desk) -> None:
    finance = browse("finance")
    assert "Nothing was forecast here" in finance.get("/forecast").text
    assert finance.get("/forecast.xlsx").headers["location"] == "/forecast?"
    job = ran(desk, finance.send("/forecast", at="/forecast", lender="", months="6").headers["location"])
    assert (job.state, job.error) == ("done", "")
    page = finance.get("/forecast").text
    kept = keeping.kept(desk, None)
    assert kept is not None
    first = kept["found"]["total"][0]
    assert say("en").money(first["expected_minor"], first["currency"]) in page
    assert page.count('class="expected-bar"') == len(kept["found"]["total"]) + 1  # and the one of the legend
    assert 'href="/forecast"' in finance.get(f"/jobs/{job.job_id}").text.replace("/forecast?", "/forecast")
    book = load_workbook(io.BytesIO(finance.get("/forecast.xlsx").content))
    assert book.sheet_names == ["All agencies", "By agency", "Months before"]
    assert len(book.get_sheet_by_name("By agency").to_python()) == len(kept["found"]["rows"]) + 1
    assert "Nothing was forecast here" in finance.get("/forecast?lender=harbour").text


def test_a_forecast_of_no_lender_or_of_a_hundred_months_is_refused(browse: As) -> None:
    finance = browse("finance")
    for wrong in ({"lender": "nobody"}, {"months": "100"}, {"months": "0"}, {"months": "many"}):
        assert finance.send("/forecast", at="/forecast", **{"months": "6", "lender": "", **wrong}).status_code == 422
    assert browse("operations").send("/forecast", at="/forecast", months="6").status_code == 403


def test_what_was_tried_before_is_drawn_and_told(browse: As, desk: Desk) -> None:
    ahead = {"agency": "quayside", "currency": "CNY", "month": "2026-03", "expected_minor": 900, "low_minor": 100,
             "high_minor": 2_000, "placements": 4}  # fmt: skip
    before = {"agency": "quayside", "currency": "CNY", "month": "2026-02", "expected_minor": 500, "low_minor": 200,
              "high_minor": 800, "actual_minor": 1_200, "held": False}  # fmt: skip
    found = {"as_of": "2026-03-02", "months": 1, "credible": 0.9, "coverage": 0.0, "bias": 1.4, "rows": [ahead],
             "total": [ahead | {"agency": "all"}], "tested": [before]}  # fmt: skip
    workedout.keep(desk, "forecast", found)
    page = browse("finance").get("/forecast").text
    assert page.count('class="came"') == 2  # the legend's, and the month that is over
    assert ("+140.0%" in page, "12.00" in page) == (True, True)
    assert "7.00" in page  # what came, less what was expected


def test_a_chart_keeps_its_bars_inside_and_in_order() -> None:
    months = [
        {"month": f"2026-0{number}", "expected_minor": 100 * number, "low_minor": 50, "high_minor": 900}
        for number in range(1, 5)
    ]
    chart = drawing.drawn([], months)
    assert chart is not None
    assert [one.x for one in chart.columns] == sorted(one.x for one in chart.columns)
    assert all(0 <= one.high <= one.top <= chart.bottom for one in chart.columns)
    assert chart.columns[0].top > chart.columns[-1].top
    assert drawing.drawn([], []) is None


# --- contracts --------------------------------------------------------------------------------------------------------


def test_terms_are_told_in_words_and_no_account_whole() -> None:
    contract = Contract.parse(TERMS)
    words = dict(agreed.in_words(say("en"), contract))
    assert words["Paid for"] == "a fee per case and a share"
    assert words["Fee per case"] == "15.00 CNY"
    assert words["Pays from"] == "…7777"
    assert words["Is paid at"] == "North Ltd, …1234"
    assert words["Answers by when"] == "acknowledge a file within 2 days"
    assert "6222000000007777" not in str(words)
    tiers = [agreed.tier_in_words(say("en"), tier, "CNY") for tier in contract.tiers]
    assert tiers[0] == (
        "days past due 31 to 90, product cash_loan, stage: Legal", "18%, 20% from 10,000.00 a month"
    )  # fmt: skip
    assert tiers[1] == ("balance from 5,000.00", "30%")
    assert dict(agreed.in_words(say("zh"), contract))["计费方式"] == "每案费用加比例（半风险）"
    assert agreed.percent(Decimal("0.0625")) == "6.25%"


def test_every_term_of_a_contract_has_a_name() -> None:
    from dataclasses import fields

    assert {field.name for field in fields(Contract)} - {"tiers"} == set(agreed.NAMES)


def test_terms_are_put_up_by_one_compared_and_approved_by_another(browse: As, desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"two_people": True})
    day = (desk.today() + timedelta(days=30)).isoformat()
    manager, second = browse("portfolio_manager"), browse("second")
    path = "/contracts/harbour/quayside"
    given = {"effective_from": day, "changes": "vat_rate=0.09\ntier.1.rate=0.2", "why": "renewed, letter of 12 May"}
    answer = manager.send(path, at=path, **given)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = second.get(path).text
    assert ("VAT on the commission" in page, "0.06" in page, "0.09" in page) == (True, True, True)
    with desk.database.read() as connection:
        number = store.proposals(connection)[0]["proposal_id"]
    own = manager.send(f"{path}/proposals/{number}/approve", at=path)
    assert own.status_code == 403
    assert second.send(f"{path}/proposals/{number}/approve", at=path).status_code == 303
    page = second.get(f"{path}?version={day}").text
    assert "to come" in page
    beside = second.get(f"{path}?version={day}&against=2026-01-01").text
    assert re.search(r"tier 1 rate.*0\.22.*0\.2", beside, re.DOTALL)
    assert second.get("/contracts").text.count(">quayside<") == 0
    assert f"version={day}" in second.get("/contracts").text


def test_terms_that_cannot_be_are_refused_with_what_was_typed(browse: As) -> None:
    manager = browse("portfolio_manager")
    path = "/contracts/harbour/quayside"
    good = {"effective_from": "2026-06-01", "changes": "vat_rate=0.09", "why": "renewed, letter of 12 May"}
    for wrong in (
        {"effective_from": ""}, {"effective_from": "soon"}, {"changes": ""}, {"changes": "vat_rate"},
        {"changes": "vat_rate=nine"}, {"changes": "colour=red"}, {"why": "so"},
    ):  # fmt: skip
        answer = manager.send(path, at=path, **(good | wrong))
        assert answer.status_code == 422, wrong
        assert "There is a problem" in answer.text
    assert manager.get("/contracts/harbour/nobody").status_code == 422
    assert manager.get("/contracts/nobody/quayside").status_code == 422
    assert browse("operations").send(path, at=path, **good).status_code == 403


def test_what_a_month_would_cost_is_reckoned_by_a_job_as_the_command_reckons_it(browse: As, desk: Desk) -> None:
    finance = browse("finance")
    given = {"lender": "harbour", "period": "2026-02", "agency": "", "changes": "vat_rate=0.09"}
    job = ran(desk, finance.send("/contracts/compare", at="/contracts/compare", **given).headers["location"])
    assert (job.state, job.error) == ("done", "")
    (name,) = re.findall(r"cost=([0-9a-f]{16})", finance.get(f"/jobs/{job.job_id}").text)
    found = comparisons.found(desk, name)
    rows = contracts.simulate(desk, "harbour", "2026-02", lambda _, now: changed(now, {"vat_rate": "0.09"}))
    assert found is not None
    assert [row["difference_minor"] for row in found["rows"]] == rows["difference_minor"].tolist()
    page = finance.get(f"/contracts/compare?cost={name}").text
    assert say("en").money(found["totals"][0]["difference_minor"], "CNY") in page
    assert "vat_rate = 0.09" in page
    again = finance.send("/contracts/compare", at="/contracts/compare", **given).headers["location"]
    assert ran(desk, again).state == "done"


def test_a_file_of_terms_is_one_agency_s_and_read_before_it_is_priced(browse: As, desk: Desk) -> None:
    finance = browse("finance")
    finance.get("/contracts/compare")
    with desk.database.read() as connection:
        terms = str(store.one(connection, "harbour", "quayside", desk.today()).terms)
    other = changed(terms, {"tier.1.rate": "0.3"})

    def sent(text: str | bytes, agency: str) -> Any:
        return finance.post(
            "/contracts/compare", files={"file": ("terms.toml", text)},
            data={"_form": finance.word, "lender": "harbour", "period": "2026-02", "agency": agency, "changes": ""},
        )  # fmt: skip

    assert ran(desk, sent(other, "quayside").headers["location"]).state == "done"
    for text, agency in (
        (other, ""), ("currency = ", "quayside"), ("colour = 'red'", "quayside"), (b"\xff\xfe", "quayside"),
        (b"x" * ((1 << 18) + 1), "quayside"), ("", "quayside"),
    ):  # fmt: skip
        assert sent(text, agency).status_code == 422, (text[:20], agency)
    assert finance.get("/contracts/compare?cost=0123456789abcdef").status_code == 422
    assert finance.get("/contracts/compare?cost=../../x").status_code == 422


# --- the books --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "begins"), [("beancount", "option"), ("hledger", ";"), ("csv", ""), ("xlsx", "PK")])
def test_the_books_are_written_by_a_job_and_taken_away(browse: As, desk: Desk, form: str, begins: str) -> None:
    finance = browse("finance")
    asked = {"lender": "harbour", "format": form, "since": "2026-01", "until": "2026-02"}
    job = ran(desk, finance.send("/ledger/exports", at="/ledger/exports", **asked).headers["location"])
    assert (job.state, job.error) == ("done", "")
    (one,) = taken.listed(desk)
    assert one["sha256"] in finance.get("/ledger/exports").text
    answer = finance.get(f"/ledger/exports/{one['name']}")
    assert answer.status_code == 200
    assert answer.content[:400].decode("utf-8", "replace").lstrip("\ufeff").startswith(begins)
    assert "attachment" in answer.headers["content-disposition"]
    assert len(answer.content) == one["size"]


def test_books_that_nobody_asked_for_or_that_cannot_be_are_refused(browse: As, desk: Desk) -> None:
    finance = browse("finance")
    (desk.folder("books") / "stray.csv").write_text("nobody noted it")
    for name in ("stray.csv", "harbour-begin-end.csv", "..%2Fconsign.sqlite", "%2e%2e"):
        assert finance.get(f"/ledger/exports/{name}").status_code in {404, 422}, name
    for wrong in ({"format": "pdf"}, {"lender": "nobody"}, {"since": "2026-13"}, {"until": "last"}):
        given = {"lender": "harbour", "format": "csv", **wrong}
        assert finance.send("/ledger/exports", at="/ledger/exports", **given).status_code == 422, wrong
    assert browse("compliance").get("/ledger/exports").status_code == 403
    assert "/ledger/exports" not in browse("compliance").get("/ledger").text


def test_old_books_are_swept_when_new_ones_are_written(desk: Desk) -> None:
    import os

    taken.take(desk, taken.Wanted("harbour", "csv"))
    old = desk.folder("books") / "harbour-begin-end.csv"
    past = (desk.now() - timedelta(days=31)).timestamp()
    os.utime(old, (past, past))
    taken.take(desk, taken.Wanted("harbour", "hledger"))
    assert [one["name"] for one in taken.listed(desk)] == ["harbour-begin-end.journal"]
