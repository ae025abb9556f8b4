"""Account pseudonyms per agency, and blind indexes: whole columns at a time. Linkage: `keys.linkage`.

A pseudonym is one AES-256 block under the agency's key: the 64-bit account id, then a constant 64-bit tag. A
block cipher is a permutation, so there are no collisions and no table; a text that nobody here made decrypts to
the wrong tag (one in 2**64 does not). No two agencies share a key, so their files cannot be joined on pseudonyms.
ECB is right here and only here: every block is its own message, and the same account must give the same text.

The text is the key's generation letter and 26 characters of Crockford's base32. The letter is one of `GENERATIONS`,
so that no spreadsheet takes the text for a number. Reading is lenient the way Crockford's alphabet allows: lower case,
and O for 0, I or L for 1. That is never ambiguous, because a written pseudonym contains none of O, I, L, U.
Everything else (other lengths, other letters, spaces, padding bits that are set) is not a pseudonym.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from keys.columns import arrow_text, fixed_width_text, over_distinct, text_series
from keys.errors import KeyUnfit
from keys.identity import canonical_id_numbers, canonical_identity, canonical_phones

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = [
    "GENERATIONS",
    "WIDTH",
    "PseudonymKey",
    "account_ids",
    "blind_index",
    "canonical_id_numbers",
    "canonical_identity",
    "canonical_phones",
    "pseudonyms",
]

ALPHABET: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GENERATIONS: Final = "GHJKMNPQRSTVWXYZ"
"""Letters of key generations in their order: none reads as a digit, an exponent or one of Crockford's aliases."""
WIDTH: Final = 27
"""Characters of a pseudonym: the generation letter and 130 bits (two of padding) in fives."""

_TAG: Final = np.frombuffer(b"consign1", dtype=">u8")[0]
_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16
_PAIRS: Final = 13
_ROWS_AT_ONCE: Final = 16_384  # keeps the working columns in the second-level cache
_HIGH_SHIFTS: Final = tuple(range(56, 5, -10))  # pairs 0-5 lie in the high word, counted from its own bit 0
_LOW_SHIFTS: Final = tuple(range(50, -1, -10))  # pairs 7-12 in the low one; pair 6 straddles both
_NOT_A_PAIR: Final = 0xFFFF
_INDEX_PURPOSE: Final = b"consign.blind.v1\0"
_INDEX_BYTES: Final = 16  # two of ten million values collide with a chance of 10**-25


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """One generation of an agency's pseudonym key; its bytes never show in `repr`."""

    generation: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raise KeyUnfit unless the generation is one of `GENERATIONS` and the key has 32 bytes."""
        if len(self.generation) != 1 or self.generation not in GENERATIONS:
            raise KeyUnfit(f"pseudonym key generation {self.generation!r} is not one of {GENERATIONS}")
        if len(self.key) != _KEY_BYTES:
            raise KeyUnfit(
                f"pseudonym key of generation {self.generation} has {len(self.key)} bytes instead of {_KEY_BYTES}"
            )


def _written_pairs() -> np.ndarray:
    """Return, for each 10-bit number, its two letters as one 16-bit word in memory order."""
    letters = np.frombuffer(ALPHABET, dtype=np.uint8)
    numbers = np.arange(1024)
    return np.stack([letters[numbers >> 5], letters[numbers & 31]], axis=1).reshape(-1).view(np.uint16)


def _read_pairs() -> np.ndarray:
    """Return, for each 16-bit word of two letters in memory order, its 10-bit number or `_NOT_A_PAIR`."""
    values = np.full(256, _NOT_A_PAIR, dtype=np.uint32)
    for value, letter in enumerate(ALPHABET):
        for spelling in (letter, ord(chr(letter).lower())):
            values[spelling] = value
    for alias, value in zip(b"OoIiLl", (0, 0, 1, 1, 1, 1), strict=True):
        values[alias] = value
    words = np.arange(65_536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    first, second = values[words[:, 0]], values[words[:, 1]]
    known = (first != _NOT_A_PAIR) & (second != _NOT_A_PAIR)
    return np.where(known, first << 5 | second, _NOT_A_PAIR).astype(np.uint16)


_WRITTEN: Final = _written_pairs()
_READ: Final = _read_pairs()
_GENERATION_OF: Final = np.zeros(256, dtype=np.uint8)
for _letter in GENERATIONS.encode():
    _GENERATION_OF[[_letter, ord(chr(_letter).lower())]] = _letter


def pseudonyms(key: PseudonymKey, account_ids: np.ndarray) -> pd.Series:
    """Return the pseudonym of each account: a `str` column of `WIDTH` characters, in the order given.

    account_ids: int64.  Raises KeyUnfit for any other dtype: a float id has lost digits.
    """
    if account_ids.dtype != np.int64:
        raise KeyUnfit(f"account ids must be int64, not {account_ids.dtype}")
    rows = len(account_ids)
    blocks = np.empty((rows, 2), dtype=">u8")
    blocks[:, 0] = account_ids.view(np.uint64)
    blocks[:, 1] = _TAG
    return text_series(fixed_width_text(_written(_ecb(key, blocks, encrypt=True), ord(key.generation))))


def account_ids(keys: Mapping[str, PseudonymKey], texts: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the account behind each text (int64, 0 where there is none) and whether there is one (bool).

    keys: by generation letter.  Never raises for a text: forged, misspelt, missing, of an unknown
    generation or of another agency are all simply not ok.
    """
    found = np.zeros(len(texts), dtype=np.int64)
    ok = np.zeros(len(texts), dtype=bool)
    column = arrow_text(texts)
    fitting = pc.fill_null(pc.equal(pc.binary_length(column), WIDTH), False)  # noqa: FBT003 - Arrow takes it by position
    places = np.flatnonzero(fitting.to_numpy(zero_copy_only=False))
    if not len(places):
        return found, ok
    letters = _letters(column.filter(fitting))
    blocks, spelt = _read(letters)
    generations = _GENERATION_OF[letters[:, 0]]
    for generation, key in keys.items():
        here = np.flatnonzero(spelt & (generations == ord(generation)))
        opened = _ecb(key, blocks[here], encrypt=False)
        genuine = opened[:, 1] == _TAG
        found[places[here[genuine]]] = opened[genuine, 0].astype(np.uint64).view(np.int64)
        ok[places[here[genuine]]] = True
    return found, ok


def _ecb(key: PseudonymKey, blocks: np.ndarray, *, encrypt: bool) -> np.ndarray:
    """Return the (rows, 2) big-endian words after one call to the cipher."""
    cipher = Cipher(algorithms.AES256(key.key), modes.ECB())  # noqa: S305 - one block is one message: see above
    turn = cipher.encryptor() if encrypt else cipher.decryptor()
    turned = np.empty(blocks.size * 8 + _BLOCK_BYTES - 1, dtype=np.uint8)  # update_into wants a block to spare
    length = turn.update_into(np.ascontiguousarray(blocks).data.cast("B"), turned.data) if blocks.size else 0
    return turned[:length].view(">u8").reshape(-1, 2)


def _written(blocks: np.ndarray, generation: int) -> np.ndarray:
    """Return (rows, WIDTH) letters for the (rows, 2) words."""
    letters = np.empty((len(blocks), WIDTH), dtype=np.uint8)
    letters[:, 0] = generation
    for start in range(0, len(blocks), _ROWS_AT_ONCE):
        part = blocks[start : start + _ROWS_AT_ONCE]
        high, low = part[:, 0].astype(np.uint64), part[:, 1].astype(np.uint64)
        pairs = np.empty((len(part), _PAIRS), dtype=np.uint16)
        for place, shift in enumerate(_HIGH_SHIFTS):
            pairs[:, place] = _WRITTEN[(high >> shift) & 1023]
        pairs[:, 6] = _WRITTEN[(high << 4 | low >> 60) & 1023]
        for place, shift in enumerate(_LOW_SHIFTS, start=7):
            pairs[:, place] = _WRITTEN[(low >> shift) & 1023]
        letters[start : start + _ROWS_AT_ONCE, 1:] = pairs.view(np.uint8)
    return letters


def _letters(texts: pa.LargeStringArray) -> np.ndarray:
    """Return (rows, WIDTH) codes of texts that all have WIDTH bytes and no nulls."""
    start = np.frombuffer(texts.buffers()[1], dtype=np.int64, count=len(texts) + 1, offset=texts.offset * 8)[0]
    codes = np.frombuffer(texts.buffers()[2], dtype=np.uint8, count=len(texts) * WIDTH, offset=int(start))
    return codes.reshape(-1, WIDTH)


def _read(letters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (rows, 2) big-endian words spelt by the letters, and whether each row is well spelt."""
    blocks = np.empty((len(letters), 2), dtype=">u8")
    spelt = np.empty(len(letters), dtype=bool)
    for start in range(0, len(letters), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        pairs = _READ[np.ascontiguousarray(letters[rows, 1:]).view(np.uint16)]
        spelt[rows] = (pairs.max(axis=1) != _NOT_A_PAIR) & (pairs[:, 0] < 256)  # noqa: PLR2004 - 128 bits, not 130
        words = pairs.T.astype(np.uint64)
        high, low = words[6] >> 4, words[6] << 60
        for place, shift in enumerate(_HIGH_SHIFTS):
            high |= words[place] << shift
        for place, shift in enumerate(_LOW_SHIFTS, start=7):
            low |= words[place] << shift
        blocks[rows, 0], blocks[rows, 1] = high, low
    return blocks, spelt


def blind_index(key: bytes, texts: pd.Series, purpose: str) -> pd.Series:
    """Return 32 hex digits by which a value can be looked up without being stored; missing stays missing.

    purpose: what is looked up (`phone`, `id_number`, …): the same text gives another index for another purpose.
    Keyed BLAKE2b (RFC 7693): a MAC like HMAC-SHA-256, at a third of its time for short texts.
    """
    begun = hashlib.blake2b(_INDEX_PURPOSE + purpose.encode() + b"\0", key=key, digest_size=_INDEX_BYTES)

    def index(text: bytes) -> str:
        digest = begun.copy()
        digest.update(text)
        return digest.hexdigest()

    return over_distinct(texts, index)
