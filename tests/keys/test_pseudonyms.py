"""Pseudonyms: fixed for a key, opened only by their own key, and never mistaken for anything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import KeyUnfit
from keys.pseudonyms import GENERATIONS, WIDTH, PseudonymKey, account_ids, blind_index, pseudonyms

KEY = PseudonymKey("G", bytes(range(32)))
OTHER = PseudonymKey("H", bytes(range(1, 33)))
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KNOWN = {
    0: "G3SMSRSCYB70P31GENAT40Z2YD9",
    1: "G1FWCQ5VZM9QCT0QDT9J38B6ZCQ",
    -1: "G71S0VRCEACXPRZRCBA9MBP1779",
    2**63 - 1: "G0E72PC8CAXSPJ69QBJFAMJK82K",
    12345: "G6Q3SD1MDS7HC1X6K5F35B1RTAJ",
}

ids = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50).map(lambda found: np.array(found, dtype=np.int64))


def series(*texts: str | None) -> pd.Series:
    return pd.Series(texts, dtype="str")


def by_the_book(key: PseudonymKey, account: int) -> str:
    """One pseudonym, from the text of the specification and Python's integers alone."""
    block = account.to_bytes(8, "big", signed=True) + b"consign1"
    cipher = Cipher(algorithms.AES256(key.key), modes.ECB())  # noqa: S305 - one block, as specified
    number = int.from_bytes(cipher.encryptor().update(block), "big")
    return key.generation + "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def test_the_known_answers_stay() -> None:
    assert pseudonyms(KEY, np.array(list(KNOWN), dtype=np.int64)).tolist() == list(KNOWN.values())


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_column_agrees_with_the_book(account: int) -> None:
    assert pseudonyms(KEY, np.array([account], dtype=np.int64)).tolist() == [by_the_book(KEY, account)]


@given(ids)
def test_every_account_comes_back(accounts: np.ndarray) -> None:
    found, ok = account_ids({"G": KEY}, pseudonyms(KEY, accounts))
    assert ok.all()
    assert found.tolist() == accounts.tolist()


def test_more_rows_than_are_worked_on_at_once_come_back() -> None:
    accounts = np.random.default_rng(7).integers(-(2**63), 2**63 - 1, 40_000)
    texts = pseudonyms(KEY, accounts)
    assert texts.is_unique
    assert (account_ids({"G": KEY}, texts)[0] == accounts).all()


def test_rows_of_a_longer_column_come_back_under_any_index() -> None:
    accounts = np.arange(100, dtype=np.int64)
    some = pseudonyms(KEY, accounts).iloc[10:90:7]
    found, ok = account_ids({"G": KEY}, some)
    assert ok.all()
    assert found.tolist() == accounts[10:90:7].tolist()


def test_a_column_of_python_objects_opens_too() -> None:
    found, ok = account_ids({"G": KEY}, pd.Series([KNOWN[1], None], dtype=object))
    assert (found.tolist(), ok.tolist()) == ([1, 0], [True, False])


def test_no_rows_are_no_rows() -> None:
    none = pseudonyms(KEY, np.array([], dtype=np.int64))
    assert none.dtype == "str"
    assert [len(part) for part in account_ids({"G": KEY}, none)] == [0, 0]


def test_a_text_never_reads_as_a_number() -> None:
    assert not set(GENERATIONS) & set("0123456789EILOU")
    for text in pseudonyms(KEY, np.arange(2_000, dtype=np.int64)):
        with pytest.raises(ValueError, match="could not convert"):
            float(text)


def test_two_agencies_cannot_join_their_files() -> None:
    accounts = np.arange(1_000, dtype=np.int64)
    mine = set(pseudonyms(KEY, accounts).str[1:])
    assert not mine & set(pseudonyms(PseudonymKey("G", OTHER.key), accounts).str[1:])


def test_another_agency_s_pseudonym_is_not_ours() -> None:
    foreign = pseudonyms(PseudonymKey("G", OTHER.key), np.arange(1_000, dtype=np.int64))
    assert not account_ids({"G": KEY}, foreign)[1].any()


def test_generations_open_side_by_side() -> None:
    texts = pd.concat([pseudonyms(KEY, np.array([1, 2])), pseudonyms(OTHER, np.array([3]))]).iloc[[2, 0, 1]]
    found, ok = account_ids({"G": KEY, "H": OTHER}, texts)
    assert ok.all()
    assert found.tolist() == [3, 1, 2]


def test_a_retired_generation_is_not_ok() -> None:
    assert not account_ids({"H": OTHER}, series(KNOWN[1]))[1].any()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "G",
        KNOWN[1][:-1],
        KNOWN[1] + "0",
        " " + KNOWN[1],
        KNOWN[1].replace("5", "U"),
        KNOWN[1].replace("5", "-"),
        "Z" + KNOWN[1][1:],
        "0" + KNOWN[1][1:],
        "G" + "8" + KNOWN[1][2:],
        "中" * 9,
        "1E5",
        "0" * WIDTH,
    ],
    ids=str,
)
def test_what_is_no_pseudonym_is_not_ok_and_does_not_raise(text: str | None) -> None:
    found, ok = account_ids({"G": KEY}, series(text, KNOWN[12345]))
    assert ok.tolist() == [False, True]
    assert found.tolist() == [0, 12345]


@given(st.integers(0, 25), st.sampled_from(CROCKFORD))
def test_one_changed_letter_forges_nothing(place: int, letter: str) -> None:
    text = KNOWN[12345]
    forged = text[: place + 1] + letter + text[place + 2 :]
    assert account_ids({"G": KEY}, series(forged))[1].tolist() == [forged == text]


@given(st.lists(st.text(max_size=30) | st.none(), max_size=20))
def test_no_text_whatever_raises(texts: list[str | None]) -> None:
    encodable = [text if text is None else text.encode("utf-8", "ignore").decode() for text in texts]
    assert not account_ids({"G": KEY}, series(*encodable))[1].any()


def test_lower_case_and_crockford_s_aliases_read_as_what_they_mean() -> None:
    spelt = series(*KNOWN.values())
    for respelt in (spelt.str.lower(), spelt.str.replace("0", "O"), spelt.str.replace("1", "l").str.replace("0", "o")):
        assert account_ids({"G": KEY}, respelt)[0].tolist() == list(KNOWN)


def test_ids_that_went_through_a_float_are_refused() -> None:
    with pytest.raises(KeyUnfit, match="float64"):
        pseudonyms(KEY, np.array([1.0]))


@pytest.mark.parametrize(("generation", "size"), [("E", 32), ("5", 32), ("g", 32), ("GH", 32), ("", 32), ("G", 16)])
def test_an_unfit_key_is_refused(generation: str, size: int) -> None:
    with pytest.raises(KeyUnfit):
        PseudonymKey(generation, bytes(size))


def test_key_bytes_never_show() -> None:
    assert repr(KEY) == "PseudonymKey(generation='G')"


def test_a_blind_index_is_keyed_by_key_and_purpose() -> None:
    texts = pd.Series(["13800138000", None, "13800138000"], index=[5, 6, 7], dtype="str")
    indexed = blind_index(b"k" * 32, texts, "phone")
    assert indexed.index.tolist() == [5, 6, 7]
    assert indexed[5] == indexed[7] == "1432d0d81cfb1a0db4ed74d82e596d00"
    assert indexed.isna().tolist() == [False, True, False]
    assert blind_index(b"k" * 32, texts, "fax")[5] != indexed[5] != blind_index(b"l" * 32, texts, "phone")[5]
