"""Every sentence of every error has its 中文, and is told in it with its values unharmed; pages and the API do so."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from console.web.bilingual import pairs
from console.web.language import errors, say
from console.web.wording import Blank, Template, Wording, parts_of
from infra import jobs
from infra.people import tokens
from infra.sandbox.staff import SECOND
from infra.setup.raised import sentences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.setup.raised import Sentence
    from infra.wiring import Desk
    from tests.console.web.conftest import As

FREE: Final = frozenset({"terms", "sentences"})
"""Catalogues of words and of tables' sentences, which no error needs to be raised with."""
UNREAD: Final = {
    "broken.message": "the words of the framework that takes a form apart",
    "desk.database.url.render_as_string(hide_password=True)": "the doctor found an address, no sentence",
    "desk.settings.calendar": "the doctor found a name",
    "now.isoformat(timespec='seconds')": "the doctor found an instant",
    "shutil.which(program, path=os.pathsep.join([os.environ.get('PATH', ''), '/usr/sbin']))": "the doctor found a path",
    "version(package)": "the doctor found a version",
    "sqlite3.sqlite_version": "the doctor found a version",
}
"""Expressions whose sentence nobody can read in the source, and why that is right."""
NAUGHTY: Final = (
    "{1}",
    "{{2+}}",
    "%(name)s",
    "';--",
    "\\n\\",
    '"<b>"',
    "案件甲：乙；丙",
    "💸",
    "１２",
    "0",
    "…",
    "{",
    "}",
)
CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


@cache
def told() -> Mapping[str, str]:
    """Every template of the catalogues, and its 中文."""
    return {str(one.id): str(one.string) for read in errors().values() for one in read if one.id and one.string}


@cache
def wording() -> Wording:
    return Wording({**pairs(), **told()})


@cache
def raised() -> tuple[list[Sentence], list[str]]:
    return sentences()


# --- the catalogues ---------------------------------------------------------------------------------------------------


def test_every_sentence_that_an_error_is_raised_with_has_its_chinese() -> None:
    found, _ = raised()
    assert len(found) > 1_500
    missing = {one.template: one.where for one in found if one.template not in told() and one.template not in pairs()}
    assert not missing


def test_what_cannot_be_read_in_the_source_is_named_with_a_reason() -> None:
    _, unread = raised()
    assert {place.split(": ", maxsplit=1)[1] for place in unread} == set(UNREAD)


def test_no_catalogue_keeps_a_sentence_that_no_error_is_raised_with() -> None:
    said = {one.template for one in raised()[0]}
    for package, catalogue in errors().items():
        idle = [one.id for one in catalogue if one.id and one.id not in said]
        assert package in FREE or not idle, package


def test_a_template_is_told_once() -> None:
    found = Counter(str(one.id) for read in errors().values() for one in read if one.id)
    assert [template for template, count in found.items() if count > 1] == []


def test_the_chinese_has_the_blanks_of_its_template_each_once() -> None:
    for english, chinese in told().items():
        blanks = [[part.number for part in parts_of(text) if isinstance(part, Blank)] for text in (english, chinese)]
        assert sorted(blanks[1]) == blanks[0] == list(range(1, len(blanks[0]) + 1)), english


def test_what_is_not_chinese_is_a_command_or_a_name() -> None:
    for english, chinese in told().items():
        same = chinese.replace("+}", "}").replace("：", ": ")
        assert CHINESE.search(chinese) or english in {same, "a PDF"}, english


# --- one sentence -----------------------------------------------------------------------------------------------------

SMALL: Final = Wording(
    {
        "no agency {1}": "没有机构 {1}",
        "no agency {1} of {2}": "{2} 没有机构 {1}",
        "{1} is {2} and cannot become {3}": "{1+}为{2+}，不能变为{3}",
        "plan {1}": "方案 {1}",
        "planned": "已计划",
        "placed": "已委出",
        "known are {1}": "可用的有：{1+}",
        "{1} in {2}": "{2} 中：{1+}",
        "it is late": "迟到",
        "plan {1} is late: {2}": "方案 {1} 逾期：{2}",
        "no day:\n{1}": "没有日期：\n{1+}",
        "a {{brace}} of {1}": "{1} 的 {{花括号}}",
    }
)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("it is late", "迟到"),
        ("no agency north", "没有机构 north"),
        ("no agency north of pacific", "pacific 没有机构 north"),
        ("no agency {1} {2+} }{", "没有机构 {1} {2+} }{"),
        ("no agency planned", "没有机构 planned"),
        ("plan 7 is planned and cannot become placed", "方案 7为已计划，不能变为placed"),
        ("terms.toml: line 3: it is late", "terms.toml：line 3：迟到"),
        ("it is late; no agency north", "迟到；没有机构 north"),
        ("no agency north; no agency south", "没有机构 north；没有机构 south"),
        ("no agency north; and south", "没有机构 north; and south"),
        ("plan 7: it is late", "方案 7：迟到"),
        ("north: plan 7 is late: no, it is early", "north：方案 7 逾期：no, it is early"),
        ("no day:\nit is late\nno agency north", "没有日期：\n迟到\n没有机构 north"),
        ("known are planned, placed", "可用的有：已计划、已委出"),
        ("known are planned, lost", "可用的有：planned, lost"),
        ("it is late in march", "march 中：迟到"),
        ("nobody was in the house", "nobody was in the house"),
        ("a {brace} of mine", "mine 的 {花括号}"),
        ("nobody knows this", "nobody knows this"),
        ("", ""),
    ],
)
def test_a_sentence_is_told_by_its_template(english: str, chinese: str) -> None:
    assert SMALL.told(english) == chinese


@pytest.mark.parametrize("template", ["a { alone", "a } alone", "{x}", "{1", "{1-}"])
def test_a_brace_that_is_no_blank_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="a brace alone"):
        parts_of(template)


def test_a_long_sentence_that_fits_nothing_is_given_up_soon() -> None:
    assert wording().told("qq, qq; qq: " * 20_000) == "qq, qq; qq: " * 20_000


# --- every sentence ---------------------------------------------------------------------------------------------------


def filled(parts: tuple[str | Blank, ...], values: Mapping[int, str]) -> str:
    return "".join(values[part.number] if isinstance(part, Blank) else part for part in parts)


def own(english: str, values: Mapping[int, str]) -> None:
    """The sentence with those values is told by its own 中文, or by another template with more text that it fits."""
    template = Template(parts_of(english), parts_of(told()[english]))
    sentence = filled(template.english, values)
    answer = wording().told(sentence)
    if answer == filled(template.chinese, values):
        return
    others = (Template(parts_of(one), parts_of(zh)) for one, zh in told().items() if one != english)
    fits = [(one, found) for one in others if (found := one.filled(sentence)) is not None]
    told_by = [filled(one.chinese, found) for one, found in fits if one.rank(found) >= template.rank(values)]
    assert answer in told_by, (english, sentence, answer)


@cache
def strong() -> list[str]:
    """Every template that stands by itself."""
    return sorted(
        english for english, chinese in told().items() if not Template(parts_of(english), parts_of(chinese)).is_weak
    )


def fitting(english: str, values: list[str]) -> list[str]:
    """Those of the values that leave no doubt where a blank ends: they hold none of the template's own text."""
    texts = [part for part in parts_of(english) if isinstance(part, str)]
    return [value for value in values if not any(text.strip() in value for text in texts if text.strip())]


def blanks_of(template: str) -> list[Blank]:
    return [part for part in parts_of(template) if isinstance(part, Blank)]


def test_every_template_is_told_by_its_own_chinese_with_naughty_values_unharmed() -> None:
    for at, english in enumerate(strong()):
        values = fitting(english, list(NAUGHTY))
        own(english, {blank.number: values[(at + blank.number) % len(values)] for blank in blanks_of(english)})


@given(st.data())
def test_whatever_fills_a_blank_is_carried_over(data: st.DataObject) -> None:
    english = data.draw(st.sampled_from(strong()))
    plain = {blank.number for blank in blanks_of(told()[english]) if not blank.is_told}
    anything = st.sampled_from(NAUGHTY) | st.sampled_from(vocabulary()) | st.text(min_size=1).filter(str.isprintable)
    values = {
        blank.number: data.draw(anything if blank.number in plain else st.sampled_from(NAUGHTY))
        for blank in blanks_of(english)
    }
    assume(all(not any(map(str.isspace, value)) and fitting(english, [value]) for value in values.values()))
    own(english, values)


@cache
def vocabulary() -> list[str]:
    """The words of all templates."""
    return sorted({word for template in told() for word in re.findall(r"[A-Za-z]+", template)})


# --- where they are shown ---------------------------------------------------------------------------------------------


def test_a_page_says_a_problem_in_its_reader_s_language(browse: As) -> None:
    shown = {language: browse("compliance", language=language).get("/gates/999999") for language in ("en", "zh")}
    assert {answer.status_code for answer in shown.values()} == {shown["en"].status_code}
    assert CHINESE.search(_problem(shown["zh"].text))
    assert not CHINESE.search(_problem(shown["en"].text))


def test_the_api_says_a_problem_in_the_language_that_is_asked_for(desk: Desk, browse: As) -> None:
    token = tokens.make(desk.acting(SECOND), SECOND, "tests").token
    browser = browse()
    for asked, is_chinese in (("zh-CN,zh;q=0.9", True), ("en", False), ("", False)):
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": asked}
        answer = browser.post("/api/v1/breaks/999999/assign", json={"owner": SECOND}, headers=headers)
        assert answer.status_code >= 400
        assert (
            bool(CHINESE.search(answer.json()["detail"])) == bool(CHINESE.search(answer.json()["title"])) == is_chinese
        )
        assert answer.headers["content-language"] == ("zh-Hans" if is_chinese else "en")
        assert "Accept-Language" in answer.headers["vary"]
        assert "999999" in answer.json()["detail"]


def test_a_page_says_what_of_a_request_is_not_as_it_must_be_and_shows_no_json(browse: As) -> None:
    for language in ("en", "zh"):
        browser = browse("second", language=language)
        no_number = browser.get("/plans/seven")
        assert (no_number.status_code, no_number.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "int_parsing" not in no_number.text
        no_days = browser.send("/account/tokens", at="/account/tokens", name="tests", days="many")
        assert no_days.status_code == 422
        assert bool(CHINESE.search(_problem(no_days.text))) == (language == "zh")
        assert "body.days" in _problem(no_days.text)
        assert "many" not in _problem(no_days.text)


def test_the_api_says_which_field_is_wrong_in_the_language_that_is_asked_for(desk: Desk, browse: As) -> None:
    token = tokens.make(desk.acting(SECOND), SECOND, "tests").token
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "zh"}
    answer = browse().post("/api/v1/breaks/first/assign", json=[], headers=headers)
    assert answer.status_code == 422
    assert "path.break_id：须为整数" in answer.json()["detail"]
    assert "body：须为对象" in answer.json()["detail"]


def test_a_job_says_why_it_failed_in_its_reader_s_language(desk: Desk, browse: As) -> None:
    job_id = jobs.ask(desk.acting(SECOND), "reconcile", {"as_of": "2026-02-28"})
    jobs.failed(desk.acting(SECOND), job_id, "no agency north", "`consign agency list` shows them")
    shown = unescape(browse("second", language="zh").get(f"/jobs/{job_id}").text)
    assert say("zh").explained("no agency north") in shown
    assert "no agency north" in unescape(browse("second", language="en").get(f"/jobs/{job_id}").text)


def _problem(page: str) -> str:
    found = re.search(r'<div class="problem".*?<p>(.*?)</p>', page, re.DOTALL)
    assert found is not None
    return found[1]
