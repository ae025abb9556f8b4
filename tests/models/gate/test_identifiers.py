"""Identifiers are found however they are written, and numbers that are none are let be."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sandbox import notes
from models.gate.identifiers import Found, found, suspicious

ID = "11010119900307747"
"""and its check digit is 5"""


def kinds(text: str) -> set[str]:
    """The kinds that would stop a package."""
    return {one.kind for one in found(text) if one.certainty != "suspected"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_planted_identifier_is_found_by_its_kind(language: notes.Language) -> None:
    missed = [note for note in notes.planted(7, 1_400, language) if note.kind not in kinds(note.text)]
    assert missed == []


@pytest.mark.parametrize(("language", "at_most"), [("zh", 3), ("en", 2)])
def test_few_clean_notes_raise_an_alarm(language: notes.Language, at_most: int) -> None:
    assert sum(bool(kinds(text)) for text in notes.clean(7, 1_500, language)) <= at_most


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        (ID + "6", "likely"),
        ("证件号 " + ID + "5", "proved"),
        ("110101 19900307 7475", "proved"),
        ("110101-1990-0307-7475", "proved"),
        ("１１０１０１１９９００３０７７４７５", "proved"),
        ("1 1 0 1 0 1 1 9 9 0 0 3 0 7 7 4 7 5", "proved"),
        ("110101\u200b199003077475", "proved"),
        ("一一零一零一一九九零零三零七七四七五", "proved"),
        ("44011320141005001x", "proved"),
        ("110101900307475", "likely"),
        ("123456789012345678", "likely"),
    ],
)
def test_a_resident_id_is_found_in_every_spelling(text: str, certainty: str) -> None:
    told = {one.kind: one.certainty for one in found(f"备注{text}。")}
    assert told["resident_id"] == certainty


@pytest.mark.parametrize(
    "text",
    [
        "15412345678", "+86 154 1234 5678", "154-1234-5678", "一五四一二三四五六七八", "010-88881234",
        "(0755) 8888 1234", "075588881234", "+44 7700 900123", "001-212-555-0123", "(212) 555-0123",
        "call me on 69 987 88 37", "Mobile: 041-412-293", "٠١٠٨٨٨٨١٢٣٤", "１５４１２３４５６７８", "tel15412345678",
    ],
)  # fmt: skip
def test_a_telephone_is_found_in_every_spelling(text: str) -> None:
    assert "phone" in kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("4532 2766 4457 7020", "card"), ("6228480402564890018", "card"), ("3700-000000-00002", "card"),
        ("li.wei@example.com", "email"), ("li.wei＠example.com", "email"), ("li.wei (at) example.com", "email"),
        ("DE89 3704 0044 0532 0130 00 please", "iban"), ("de89370400440532013000", "iban"),
        ("531-21-7351", "ssn"), ("his social security number is 481195160", "ssn"),
        ("E12345678", "passport"), ("EA1234567", "passport"), ("护照号 K01234567", "document"),
        ("A123456(3)", "document"), ("AB 12 34 56 C", "document"), ("driver's license number is 481195160", "document"),
    ],
)  # fmt: skip
def test_other_identifiers_are_found(text: str, kind: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "联系时间写作 2026-03-02T10:15:00+08:00",
        "2026-03-02 10:15", "2026-03-02T10:15:00Z", "20260302101530", "1,234,567.89", "1 2 3 4 5 6 7 8 9 10 11 12 13",
        "M3", "credit_card", "310100", "10000 to under 50000", "0000000000000000", "朝阳路12号3栋1501室", "",
        "合同号 2026-0012345，客户来电",
    ],
)  # fmt: skip
def test_what_is_no_identifier_is_let_be(text: str) -> None:
    assert kinds(text) == set()


def test_a_card_without_check_digit_or_issuer_is_only_suspected() -> None:
    assert found("4532276644577021") == [Found("card", "suspected")]
    assert found("1234567890123452") == [Found("card", "suspected")]


@given(
    st.text(st.sampled_from("0123456789 -.()@+ABEGXx零一二三٠１２电话callphone\u200b"), max_size=40)
    | st.text(max_size=40)
)
def test_no_text_that_is_not_worth_reading_holds_anything(text: str) -> None:
    assert suspicious(pa.array([text], pa.large_string()))[0] or not found(text)
