"""Every sentence is there in both languages, and whatever Python or a page says passes the catalogues."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from console.web.language import catalogues, chosen, say

WEB = Path(__file__).resolve().parents[3] / "console" / "web"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "later": None, "say": None}


def sentences() -> dict[str, str]:
    """Every sentence of the console in English, and a file that says it."""
    found = extract_from_dir(
        WEB,
        method_map=METHODS,
        options_map={"templates/**.html": {"trimmed": "true", "silent": "false"}},
        keywords=KEYWORDS,
    )
    return {
        (sentence if isinstance(sentence, str) else sentence[0]): f"{file}:{line}" for file, line, sentence, *_ in found
    }


def test_every_sentence_is_translated() -> None:
    translated = {
        message.id if isinstance(message.id, str) else message.id[0]
        for catalogue in catalogues().values()
        for message in catalogue
        if message.id and message.string and not message.fuzzy
    }
    missing = {sentence: where for sentence, where in sentences().items() if sentence not in translated}
    assert not missing


def test_no_catalogue_keeps_a_sentence_that_nobody_says() -> None:
    said = sentences()
    for area, catalogue in catalogues().items():
        idle = [message.id for message in catalogue if message.id and _key(message.id) not in said]
        assert not idle, area


def test_one_sentence_has_one_translation() -> None:
    told = {
        (_key(message.id), str(message.string))
        for catalogue in catalogues().values()
        for message in catalogue
        if message.id
    }
    twice = [key for key, count in Counter(key for key, _ in told).items() if count > 1]
    assert not twice


def test_a_translation_has_the_blanks_of_its_sentence() -> None:
    import re

    blanks = re.compile(r"%\((\w+)\)[sd]")
    for catalogue in catalogues().values():
        for message in catalogue:
            if message.id and isinstance(message.id, str):
                assert set(blanks.findall(message.id)) == set(blanks.findall(str(message.string))), message.id


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9", "zh"),
        (None, "de-DE,zh;q=0.5", "en"),
        ("zh", "en", "zh"),
        ("fr", "zh", "zh"),
    ],
)
def test_a_browser_reads_what_it_chose_or_asks_for(cookie: str | None, accepted: str, language: str) -> None:
    assert chosen(cookie, accepted) == language


def test_money_and_days_are_written_as_each_language_writes_them() -> None:
    from datetime import UTC, date, datetime

    assert say("en").money(1473453310, "CNY") == say("zh").money(1473453310, "CNY") == "14,734,533.10"
    assert say("en").money(1200, "JPY") == "1,200"
    assert (say("en").day(date(2026, 5, 25)), say("zh").day(date(2026, 5, 25))) == ("25 May 2026", "2026年5月25日")
    at = datetime(2026, 5, 24, 17, 5, tzinfo=UTC)
    assert (say("en").instant(at), say("zh").instant(at)) == ("25 May 2026 01:05", "2026年5月25日 01:05")


def _key(sentence: str | tuple[str, ...] | list[str]) -> str:
    return sentence if isinstance(sentence, str) else sentence[0]


def test_what_is_noted_beside_an_event_is_told_as_each_language_writes_it() -> None:
    english, chinese = say("en"), say("zh")
    assert english.noted("2026-10-26T12:00:00+00:00") == english.noted("2026-10-26T12:00Z") == "26 Oct 2026 20:00"
    assert chinese.noted("2026-10-26T12:00:00+00:00") == "2026年10月26日 20:00"
    assert (english.noted("2026-10-26"), chinese.noted("2026-10-26")) == ("26 Oct 2026", "2026年10月26日")
    assert chinese.noted(["2026-10-26", "late:3", 7]) == "2026年10月26日, late:3, 7"
    assert (english.noted(None), english.noted([]), chinese.noted(value=True)) == ("–", "–", "是")
    for plain in ("2026-10", "2026-13-01", "2026-02-30", "2026-10-26T12:00:00", "20261026", "R-2026-10-26", ""):
        assert english.noted(plain) == plain
