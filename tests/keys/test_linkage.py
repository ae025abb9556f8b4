"""Linkage pseudonyms: one person is one in a circle, and nobody is anybody across two domains."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeyUnfit
from keys.identity import canonical_id_numbers
from keys.linkage import WIDTH, in_circle, of_lender

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))
PERSON = "11010519491231002X"


def texts(*values: str | None) -> pd.Series:
    return pd.Series(list(values), dtype="str")


def derived(domain: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"consign.linkage.v2\0" + domain.encode()).derive(SECRET)


def block(key: bytes, plain: bytes) -> bytes:
    return Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update(plain)  # noqa: S305 - one block


def test_it_is_the_mac_of_the_number_as_one_block_under_the_lenders_key_then_the_circles() -> None:
    person = hashlib.blake2b(PERSON.encode(), key=derived("person"), digest_size=16).digest()
    mine = of_lender(SECRET, "harbour", texts(PERSON))
    assert mine.tolist() == [block(derived("lender\0harbour"), person).hex()]
    joint = in_circle(SECRET, "harbour", "external:delta", mine)
    assert joint.tolist() == [block(derived("circle\0external:delta"), person).hex()]


def test_one_person_is_one_in_a_circle_however_each_lender_spells_the_number() -> None:
    spelt = {"harbour": "110105 194912 31002x", "lotus": "110105491231002"}
    joint = {
        lender: in_circle(SECRET, lender, "c", of_lender(SECRET, lender, canonical_id_numbers(texts(number))))[0]
        for lender, number in spelt.items()
    }
    assert joint["harbour"] == joint["lotus"]


@settings(max_examples=50)
@given(st.lists(st.text("0123456789X", min_size=6, max_size=18), min_size=1, max_size=20, unique=True))
def test_domains_have_nothing_in_common_and_persons_stay_apart(numbers: list[str]) -> None:
    told = texts(*numbers)
    harbour, lotus = (of_lender(SECRET, lender, told) for lender in ("harbour", "lotus"))
    one, two = (in_circle(SECRET, "harbour", circle, harbour) for circle in ("one", "two"))
    foreign = of_lender(OTHER, "harbour", told)
    domains = [set(column) for column in (harbour, lotus, one, two, foreign)]
    assert all(len(domain) == len(numbers) for domain in domains)
    assert len(set.union(*domains)) == len(numbers) * len(domains)
    assert in_circle(SECRET, "lotus", "one", lotus).tolist() == one.tolist()


def test_who_has_no_number_has_no_pseudonym_and_rows_keep_their_index() -> None:
    told = texts(None, PERSON, None).set_axis([7, 3, 5])
    mine = of_lender(SECRET, "harbour", told)
    assert mine.index.tolist() == [7, 3, 5]
    assert mine.isna().tolist() == [True, False, True]
    assert in_circle(SECRET, "harbour", "c", mine).isna().tolist() == [True, False, True]
    assert of_lender(SECRET, "harbour", texts()).empty


def test_no_number_is_in_its_pseudonym() -> None:
    mine = str(of_lender(SECRET, "harbour", texts(PERSON))[0])
    assert len(mine) == WIDTH
    assert PERSON[:6] not in mine


@pytest.mark.parametrize("text", ["", "ab", "z" * WIDTH, "0" * (WIDTH + 1)])
def test_what_is_no_pseudonym_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyUnfit, match="32 hex digits") as refused:
        in_circle(SECRET, "harbour", "c", texts(text))
    assert text == "" or text not in str(refused.value)


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(KeyUnfit, match="31 bytes"):
        of_lender(SECRET[1:], "harbour", texts(PERSON))
