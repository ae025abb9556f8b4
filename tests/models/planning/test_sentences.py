"""Whatever a preview says in English can be said in 中文: each sentence of the previews made here is known."""

from __future__ import annotations

import pytest

from models.planning.exclusions import WORDS
from models.planning.sentences import CHINESE_REASONS, PATTERNS, is_known, translated


def test_english_stays_as_it_is() -> None:
    assert translated("share 16.7%", "en") == "share 16.7%"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("cap binds: 214 moved to Northgate", "上限生效：214 户转至Northgate"),
        ("overflow from Quayside: 214", "承接Quayside溢出：214 户"),
        ("1,203 stay where the debtor's other accounts are", "1,203 户随债务人其他账户留在原机构"),
        (
            "41 accounts are held back: on hold: complaint (29), already with an agency (12)",
            "41 户被排除：暂停催收：投诉（29）、已在机构（12）",
        ),
        ("lotus takes no part: it is suspended", "lotus不参与：已暂停"),
        ("held back: on hold: dispute", "已排除：暂停催收：争议"),
        ("3 accounts changed; north can take no accounts now", "3 户数据已变化；north目前不能承接账户"),
        ("it was good until 2026-11-29 09:00 UTC", "有效期至 2026-11-29 09:00 UTC"),
        ("something that nobody put into words", "something that nobody put into words"),
    ],
)
def test_sentences_are_told_in_chinese(english: str, chinese: str) -> None:
    assert translated(english, "zh") == chinese


def test_a_name_with_braces_or_signs_of_the_matcher_is_only_a_name() -> None:
    name = "A{0}.*(B) %s 恒信"
    assert translated(f"overflow from {name}: 3", "zh") == f"承接{name}溢出：3 户"


def test_every_reason_has_its_chinese() -> None:
    assert set(CHINESE_REASONS) == set(WORDS)
    assert all(is_known(words) for words in WORDS.values())


def test_both_languages_of_a_pattern_have_the_same_blanks() -> None:
    import re

    blanks = re.compile(r"\{(\w+)\}")
    for english, chinese in PATTERNS:
        assert sorted(blanks.findall(english)) == sorted(blanks.findall(chinese)), english
