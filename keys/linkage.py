"""Linkage pseudonyms: one person behind several debtors, known only where a legal basis opens the way.

A debtor's linkage pseudonym is made in two steps. A MAC of the canonical ID number says who it is, and is kept nowhere;
encrypted under a key of the lender's own it becomes the lender's pseudonym, which is what the store holds. Each lender
is a pseudonymisation domain by itself (EDPB Guidelines 01/2025): the pseudonyms of two lenders have
nothing in common, whoever holds the whole store. A circle, for which a basis is on record, is another domain: the
pseudonyms of its lenders are opened and encrypted anew under the circle's key, and there one person has one pseudonym.
Two circles have nothing in common either.

All keys come from one secret of the platform's own by HKDF (RFC 5869). The MAC is keyed BLAKE2b (RFC 7693) of 128 bits,
which is one AES block: a block cipher is a permutation, so that persons stay apart, and it turns a million in a blink.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.columns import fixed_width_text, over_distinct, text_series
from keys.errors import KeyUnfit

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

KEPT_AS: Final = "linkage"
"""Under which name the keyring has the secret."""
_PURPOSE: Final = b"consign.linkage.v2\0"
_KEY_BYTES: Final = 32
_BYTES: Final = 16
WIDTH: Final = 2 * _BYTES
"""Characters of a linkage pseudonym: hex."""


def of_lender(secret: bytes, lender: str, id_numbers: pd.Series) -> pd.Series:
    """Return the linkage pseudonym of each canonical ID number in the lender's domain: hex; missing stays missing.

    Raises KeyUnfit for a secret that has not 32 bytes.
    """
    persons = hashlib.blake2b(key=_key(secret, "person"), digest_size=_BYTES)

    def person(number: bytes) -> str:
        mac = persons.copy()
        mac.update(number)
        return mac.hexdigest()

    domain = _key(secret, f"lender\0{lender}")
    return _turned(over_distinct(id_numbers, person), lambda blocks: _aes(domain, blocks, encrypt=True))


def in_circle(secret: bytes, lender: str, circle: str, pseudonyms: pd.Series) -> pd.Series:
    """Return the lender's linkage pseudonyms as the circle's, where one person has one: hex; missing stays missing.

    Raises KeyUnfit for a text that is no linkage pseudonym.
    """
    domain, shared = _key(secret, f"lender\0{lender}"), _key(secret, f"circle\0{circle}")
    return _turned(pseudonyms, lambda blocks: _aes(shared, _aes(domain, blocks, encrypt=False), encrypt=True))


def _key(secret: bytes, domain: str) -> bytes:
    if len(secret) != _KEY_BYTES:
        raise KeyUnfit(f"the linkage secret has {len(secret)} bytes instead of {_KEY_BYTES}")
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE + domain.encode()).derive(secret)


def _aes(key: bytes, blocks: bytes, *, encrypt: bool) -> bytes:
    cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305 - every block is a message of its own, once
    turn = cipher.encryptor() if encrypt else cipher.decryptor()
    return turn.update(blocks) + turn.finalize()


def _turned(texts: pd.Series, turn: Callable[[bytes], bytes]) -> pd.Series:
    """Return the hex texts with their blocks turned; missing stays missing."""
    there = texts[texts.notna()]
    if (there.str.len() != WIDTH).any():
        raise KeyUnfit(f"a linkage pseudonym has {WIDTH} hex digits")
    try:
        blocks = bytes.fromhex("".join(there))
    except ValueError:
        raise KeyUnfit(f"a linkage pseudonym has {WIDTH} hex digits") from None
    letters = np.frombuffer(turn(blocks).hex().encode(), dtype=np.uint8).reshape(-1, WIDTH)
    return text_series(fixed_width_text(letters), there.index).reindex(texts.index)
