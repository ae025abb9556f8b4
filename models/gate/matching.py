"""Whether a free text names somebody of its own batch: who the debtors are, compared with what is written.

Both sides are folded (one width, small letters, letters and digits alone). An identity that is long enough to be
nobody else's is sought in every free text of the package; a short one (王伟, Grant) in the texts of its own line alone,
where it cannot be there by chance. What is shorter still, like an employer called 个体, is not sought.

Seeking a million identities in a few texts is done from the texts' side: an identity can only be in a text if its first
letters are among the text's pieces, and that is one look-up in a set for all identities at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.gate.columns import TEXT, folded
from models.intake.readings import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TEXTS_AT_ONCE: Final = 20_000
_SHORT: Final = 3
_LONG: Final = 8
_HAN: Final = r"^\p{Han}+$"
_NUMBER: Final = r"^[0-9]+$"


@dataclass(frozen=True)
class Lengths:
    """How long, folded, an identity of a field must be to be sought: in Chinese letters, in others, in digits."""

    han: int
    other: int
    digits: int


EVERYWHERE: Final = {
    **dict.fromkeys(("name", "contact_name"), Lengths(3, 8, 7)),
    **dict.fromkeys(("address", "employer"), Lengths(5, 10, 10)),
    **dict.fromkeys(("email", "id_number", "phone", "phone_alt", "contact_phone"), Lengths(6, 8, 7)),
}
"""By field, from which length on it is sought in every text of the package."""
ON_ITS_LINE: Final = {
    **EVERYWHERE,
    **dict.fromkeys(("name", "contact_name"), Lengths(2, 5, 7)),
    **dict.fromkeys(("address", "employer"), Lengths(4, 8, 8)),
}
"""And from which on in the texts of its own line."""


def long_enough(identities: pa.Array, lengths: Lengths) -> np.ndarray:
    """Rows whose identity (folded) is long enough to be sought."""
    least = pc.if_else(
        pc.match_substring_regex(identities, _HAN),
        lengths.han,
        pc.if_else(pc.match_substring_regex(identities, _NUMBER), lengths.digits, lengths.other),
    )
    return mask(pc.greater_equal(pc.utf8_length(identities), least))


class Sought:
    """Texts in which identities are looked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self._parts = [
            _Part(self.texts[first : first + _TEXTS_AT_ONCE]) for first in range(0, len(self.texts), _TEXTS_AT_ONCE)
        ]

    def holding(self, field: str, identities: pa.Array) -> set[str]:
        """The texts in which an identity of that field stands."""
        if not self._parts or not len(identities):
            return set()
        sought = folded(identities)
        sought = pc.unique(sought.filter(pa.array(long_enough(sought, EVERYWHERE[field]))))
        return {text for part in self._parts for text in part.holding(sought)}


class _Part:
    """Some thousand texts, and their pieces."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.folded = folded(pa.array(texts, TEXT))
        self.all_of_it = "\n".join(self.folded.to_pylist())
        self.short = _pieces(self.folded, _SHORT)
        self.long = _pieces(self.folded, _LONG)

    def holding(self, sought: pa.Array) -> Iterable[str]:
        begins_long = pc.greater_equal(pc.utf8_length(sought), _LONG)
        for chosen, length, pieces in (
            (sought.filter(begins_long), _LONG, self.long),
            (sought.filter(pc.invert(begins_long)), _SHORT, self.short),
        ):
            there = pc.is_in(pc.utf8_slice_codeunits(chosen, 0, length), value_set=pieces)
            for one in chosen.filter(there).to_pylist():
                if one in self.all_of_it:
                    yield from (
                        text for text, mine in zip(self.texts, self.folded.to_pylist(), strict=True) if one in mine
                    )


def _pieces(texts: pa.Array, length: int) -> pa.Array:
    """Every piece of that many letters, once."""
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    found = []
    for first in range(longest - length + 1):
        cut = pc.utf8_slice_codeunits(texts, first, first + length)
        found.append(pc.unique(cut.filter(pc.equal(pc.utf8_length(cut), length))))
    return pc.unique(pa.concat_arrays(found)) if found else pa.array([], TEXT)


def on_own_line(texts: pa.Array, identities: pa.Array, field: str) -> np.ndarray:
    """Rows whose text holds the identity of the same row."""
    written, sought = folded(texts), folded(identities)
    enough = long_enough(sought, ON_ITS_LINE[field])
    found = np.zeros(len(texts), dtype=bool)
    rows = np.flatnonzero(enough & mask(pc.is_valid(written)))
    chosen = pa.array(rows)
    for row, text, one in zip(rows, written.take(chosen).to_pylist(), sought.take(chosen).to_pylist(), strict=True):
        found[row] = one in text
    return found
