"""Finance's worklist without scripts: tabs, filters, the drawer, what is done there, by whom, and what is refused."""

from __future__ import annotations

import io
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select

from infra import resolving
from infra.store import worklist
from infra.store.bulk import table_of
from infra.store.worklist import Wanted
from infra.wiring import Desk
from models.tables import Break, BreakNote, Match, RemittanceLine, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable

NAUGHTY = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "'; DROP TABLE break; --",
    "javascript:alert(1)", '=HYPERLINK("http://x")', "@SUM(A1)", "\u202egnp.exe", "社會科學院語學研究所",
    "%n%s%x", "../../etc/passwd",
)  # fmt: skip


def first(desk: Desk, wanted: Wanted) -> worklist.Row:
    """The first row of it."""
    with desk.database.read() as connection:
        return worklist.page(connection, wanted).rows[0]


def table(desk: Desk, row: Any, **where: Any) -> list[Any]:
    """Rows of a table."""
    of = table_of(row)
    with desk.database.read() as connection:
        return list(connection.execute(select(of).where(*(of.c[name] == value for name, value in where.items()))))


@pytest.mark.parametrize("tab", worklist.TABS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_tab_is_a_page_and_every_row_opens(desk: Desk, browse: Any, tab: worklist.Tab, language: str) -> None:
    browser = browse("finance", language=language)
    answer = browser.get(f"/breaks?tab={tab}")
    assert answer.status_code == 200
    with desk.database.read() as connection:
        rows = worklist.page(connection, Wanted(tab=tab)).rows
    for kind in {row.kind for row in rows}:
        row = next(one for one in rows if one.kind == kind)
        opened = browser.get(f"/breaks?tab={tab}&open={row.key}")
        assert opened.status_code == 200
        assert 'id="drawer"' in opened.text


def test_a_part_of_the_page_is_the_list_alone(browse: Any) -> None:
    answer = browse("finance").get("/breaks?kind=no_line", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert "<html" not in answer.text
    assert "data-rows" in answer.text


def test_filters_stay_in_the_address_of_every_link(browse: Any) -> None:
    text = browse("finance").get("/breaks?kind=no_line&agency=gamma").text
    links = [unescape(link) for link in re.findall(r'data-open href="([^"]+)"', text)]
    assert links
    assert all("kind=no_line" in link and "agency=gamma" in link for link in links)


def test_an_address_that_means_nothing_says_so(browse: Any) -> None:
    browser = browse("finance")
    for words in ("tab=nothing", "after=x", "sort=x", "open=break-999999999"):
        assert browser.get(f"/breaks?{words}").status_code == 422, words
    for words in ("open=break-" + "9" * 40, "open=x", "open=break-%C2%B2"):
        assert browser.get(f"/breaks?{words}").status_code == 200, words
    assert browser.send(f"/breaks/{'9' * 40}/comment", text="x").status_code == 404


def test_a_person_ties_a_receipt_to_the_line_that_fits(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_receipt", sort="smallest"))
    browser = browse("finance")
    text = browser.get(f"/breaks?open={row.key}").text
    form = re.search(
        rf'<form method="post" action="/breaks/{row.id}/match" class="boxed candidate">(.*?)</form>', text, re.DOTALL
    )
    assert form is not None
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'name="(line|receipt)" value="(\d+)"', form[1]):
        fields.setdefault(name, []).append(value)
    answer = browser.send(f"/breaks/{row.id}/match", reason="wrong_reference", at=f"/breaks?open={row.key}", **fields)
    assert answer.status_code == 303, answer.text
    (made,) = table(desk, Match, rule="by_hand")
    assert made.made_by == "m.rossi"
    (done,) = table(desk, Resolution, kind="match")
    assert (done.state, done.proposed_by) == ("done", "m.rossi")
    assert browser.send(f"/breaks/matches/{made.match_id}/unmatch", reason="mistake").status_code == 303
    assert table(desk, Match, rule="by_hand")[0].status == "undone"


def test_one_receipt_is_split_among_several_lines(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line", sort="smallest"))
    with desk.database.read() as connection:
        receipt = connection.execute(
            select(table_of(Break).c.receipt_id).where(table_of(Break).c.break_id == row.id)
        ).scalar()
        lines = worklist.recoveries(connection, "awaiting_cash", agency=row.agency or "").rows
    own = [line for line in lines if line["currency"] == row.currency and line["kind"] == "recovery"][:2]
    parts = " ".join(f"{line['line_id']}=1.25" for line in own)
    answer = browse("finance").send(f"/breaks/{row.id}/match", parts=parts, receipt=receipt, reason="late_booking")
    assert answer.status_code == 303, answer.text
    tied = [table(desk, RemittanceLine, line_id=line["line_id"])[0].cash_minor for line in own]
    assert tied == [125] * len(own)


def test_parts_that_are_none_are_refused_with_the_same_page(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line"))
    browser = browse("finance")
    for parts in ("x", "1=", "1=1.234", "1=NaN", "=5", "1=1e99999", "9" * 30 + "=1"):
        browser.get(f"/breaks?open={row.key}")
        form = {"_form": browser.word, "parts": parts, "receipt": "1", "at": f"/breaks?open={row.key}"}
        answer = browser.post(f"/breaks/{row.id}/match", data=form)
        assert answer.status_code == 422, parts
        assert "LINE=AMOUNT" in answer.text, parts
        assert 'id="drawer"' in answer.text


def test_a_large_write_off_waits_for_somebody_else(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line", sort="smallest"))
    browser, other = browse("finance"), browse("second")
    assert browser.send(f"/breaks/{row.id}/resolve", kind="write_off", reason="uneconomic").status_code == 303
    (waits,) = table(desk, Resolution, kind="write_off")
    assert waits.state == "waiting"
    own = browser.send(f"/breaks/resolutions/{waits.resolution_id}/approve", at="/breaks?tab=to_approve")
    assert own.status_code == 403
    assert "m.rossi proposed" in own.text
    assert f"resolution-{waits.resolution_id}" in other.get("/breaks?tab=to_approve").text
    assert other.send(f"/breaks/resolutions/{waits.resolution_id}/approve").status_code == 303
    assert (waits.others, table(desk, Resolution, resolution_id=waits.resolution_id)[0].state) == (1, "done")
    assert row.key in browser.get("/breaks?tab=written_off").text
    assert browser.send(f"/breaks/resolutions/{waits.resolution_id}/undo").status_code == 303
    (undo,) = table(desk, Resolution, kind="undo")
    other.send(f"/breaks/resolutions/{undo.resolution_id}/approve")
    assert table(desk, Resolution, resolution_id=waits.resolution_id)[0].state == "undone"
    assert row.key in browser.get("/breaks?kind=no_line").text


def test_another_person_refuses_and_the_proposer_withdraws(desk: Desk, browse: Any) -> None:
    for end, who in (("refuse", "second"), ("withdraw", "finance")):
        row = first(desk, Wanted(kind="no_line", sort="largest"))
        browse("finance").send(f"/breaks/{row.id}/resolve", kind="write_off", reason="uneconomic")
        (waits,) = table(desk, Resolution, state="waiting")
        browse(who).send(f"/breaks/resolutions/{waits.resolution_id}/{end}", why="the agency promised to pay")
        assert table(desk, Resolution, resolution_id=waits.resolution_id)[0].state in {"refused", "withdrawn"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("no_line", "not_ours"),
        ("commission_diff", "settle"),
        ("after_recall", "count"),
        ("duplicate_in_file", "reject"),
    ],
)
def test_whatever_a_break_allows_is_done_or_proposed(desk: Desk, browse: Any, code: str, kind: str) -> None:
    row = first(desk, Wanted(kind=code))
    browser = browse("finance")
    assert f'value="{kind}"' in browser.get(f"/breaks?open={row.key}").text
    assert browser.send(f"/breaks/{row.id}/resolve", kind=kind, reason="agreed_with_agency").status_code == 303
    (made,) = table(desk, Resolution, kind=kind)
    assert made.state in {"done", "waiting"}


def test_what_a_break_does_not_allow_is_refused(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line"))
    for kind in ("count", "settle", "refund", "nonsense"):
        answer = browse("finance").send(
            f"/breaks/{row.id}/resolve", kind=kind, reason="mistake", at=f"/breaks?open={row.key}"
        )
        assert answer.status_code == 422, kind


def test_what_the_rules_suggested_is_accepted_alone_and_in_bulk(desk: Desk, browse: Any) -> None:
    browser = browse("finance")
    with desk.database.read() as connection:
        rows = worklist.page(connection, Wanted(tab="proposed", kind="suggested")).rows
    assert browser.send(f"/breaks/matches/{rows[0].id}/accept").status_code == 303
    answer = browser.send("/breaks/chosen", act="accept", row=[row.key for row in rows[1:]], at="/breaks?tab=proposed")
    assert answer.status_code == 303
    assert len(table(desk, Match, rule="by_hand")) >= 2


def test_many_are_assigned_at_once_and_found_by_whose_they_are(desk: Desk, browse: Any) -> None:
    with desk.database.read() as connection:
        rows = worklist.page(connection, Wanted(), rows=7).rows
    browser = browse("finance")
    answer = browser.send("/breaks/chosen", act="assign", to="m.rossi", row=[row.key for row in rows])
    assert answer.status_code == 303
    text = browser.get("/breaks?mine=1").text
    assert all(f'value="{row.key}"' in text for row in rows)
    assert browser.send("/breaks/chosen", act="assign", to="m.rossi").status_code == 422
    assert browser.send("/breaks/chosen", act="approve", row=[rows[0].key]).status_code == 422


def test_naughty_words_are_shown_as_words(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted())
    browser = browse("finance")
    for text in NAUGHTY:
        assert browser.send(f"/breaks/{row.id}/comment", text=text).status_code == 303, text
        page = browser.get(f"/breaks?open={row.key}").text
        searched = browser.get("/breaks", params={"q": text}).text
        assert text in unescape(page)
        for told in (page, searched):
            assert "<script>alert" not in told
            assert "<img" not in told


def test_a_comment_with_a_debtors_number_is_refused(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted())
    answer = browse("finance").send(f"/breaks/{row.id}/comment", text="call 13800138000", at=f"/breaks?open={row.key}")
    assert answer.status_code == 422
    assert not table(desk, BreakNote)


def test_a_file_is_attached_sealed_and_taken_out_again(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted())
    browser = browse("finance")
    browser.get("/breaks")
    answer = browser.post(
        f"/breaks/{row.id}/attach", data={"_form": browser.word, "text": "the bank's slip", "at": "/breaks"},
        files={"file": ("../../../evil.html", b"<script>alert(1)</script>", "text/html")},
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    (note,) = table(desk, BreakNote)
    got = browser.get(f"/breaks/attachments/{note.note_id}")
    assert got.content == b"<script>alert(1)</script>"
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["content-type"] == "application/octet-stream"
    assert not list(desk.settings.home.rglob("evil*"))


def test_an_export_has_every_row_of_the_filter_and_no_formula(desk: Desk, browse: Any) -> None:
    bad = '=HYPERLINK("http://x","y")'
    row = first(desk, Wanted(kind="no_receipt"))
    line = table_of(RemittanceLine)
    with desk.database.write() as connection:
        line_id = connection.execute(
            select(table_of(Break).c.line_id).where(table_of(Break).c.break_id == row.id)
        ).scalar()
        connection.execute(line.update().where(line.c.line_id == line_id).values(txn_ref=bad))
    answer = browse("finance").get("/breaks/export?kind=no_receipt")
    cells = CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()
    with desk.database.read() as connection:
        rows = worklist.page(connection, Wanted(kind="no_receipt"), rows=1000).rows
    assert len(cells) == len(rows) + 1
    assert bad in {str(cell) for line_ in cells for cell in line_}
    assert b"<f>" not in _sheet_xml(answer.content)
    assert b"hyperlink" not in _sheet_xml(answer.content).lower().replace(b"hyperlink(", b"")


def _sheet_xml(content: bytes) -> bytes:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return book.read("xl/worksheets/sheet1.xml")


def test_matching_is_tried_as_a_job_that_changes_nothing(desk: Desk, browse: Any) -> None:
    from flows import jobs

    before = table(desk, Match), table(desk, Break)
    answer = browse("finance").send("/breaks/matching")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/jobs/")
    assert jobs.work_off(desk) == 1
    assert (table(desk, Match), table(desk, Break)) == before


ACTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/breaks/1/assign", {"to": "x"}), ("/breaks/1/comment", {"text": "x"}), ("/breaks/1/match", {}),
    ("/breaks/1/resolve", {"kind": "settle"}), ("/breaks/chosen", {"act": "assign"}), ("/breaks/matching", {}),
    ("/breaks/matches/1/accept", {}), ("/breaks/matches/1/unmatch", {}), ("/breaks/resolutions/1/undo", {}),
    ("/breaks/resolutions/1/approve", {}), ("/breaks/resolutions/1/refuse", {"why": "x"}),
    ("/breaks/resolutions/1/withdraw", {}),
)  # fmt: skip


@pytest.mark.parametrize("who", ["portfolio_manager", "compliance", "operations", "agency"])
def test_only_finance_acts_and_an_agency_sees_nothing(browse: Any, who: str) -> None:
    browser = browse(who)
    assert browser.get("/breaks").status_code == (403 if who == "agency" else 200)
    for path, fields in ACTS:
        assert browser.send(path, at="/account", **fields).status_code == 403, path


def test_a_list_without_the_role_offers_nothing_to_do(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line"))
    text = browse("portfolio_manager").get(f"/breaks?open={row.key}").text
    assert "/resolve" not in text
    assert 'data-key="m"' not in text


def test_what_moved_meanwhile_makes_a_proposal_stale(desk: Desk, browse: Any) -> None:
    row = first(desk, Wanted(kind="no_line", sort="smallest"))
    browse("finance").send(f"/breaks/{row.id}/resolve", kind="write_off", reason="uneconomic")
    (waits,) = table(desk, Resolution, state="waiting")
    receipt = table(desk, Break, break_id=row.id)[0].receipt_id
    other: Callable[[str], Desk] = lambda who: Desk(desk.settings, clock=desk.clock, actor=who)  # noqa: E731 - a short name
    done = resolving.propose(other("m.rossi"), "not_ours", "misdirected", "", row.id, {"receipt": receipt})
    if done.state == "waiting":
        resolving.approve(other("l.wang"), done.resolution_id)
    answer = browse("second").send(f"/breaks/resolutions/{waits.resolution_id}/approve")
    assert answer.status_code == 403
    assert table(desk, Resolution, resolution_id=waits.resolution_id)[0].state == "stale"
