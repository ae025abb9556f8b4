"""Whatever a stranger sends, a parser answers with a table or with its own refusal: what was found once, and mutations.

`make fuzz` looks for more, and leaves what it finds in the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).with_name("corpus")
NAMES = sorted(path.name for path in CORPUS.iterdir())
SEEDS = {name: [path.read_bytes() for path in sorted((CORPUS / name).iterdir())] for name in NAMES}
Targets = Mapping[str, Callable[[bytes], None]]

PIECES = [
    b"\0", b"\xff", b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80",
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07", b"\xff\xff", b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80", b"{", b"[", b"NaN", b"1e999", b"-1", b"true", b"null", b"\\ud800", b"<", b"</", b"&amp;",
    b"<!DOCTYPE", b"Ntry", b"-----", b"--- ", b"-> ", b"AAAA", b"../", b"'", b"=", b"''' ", b'"""', b"9" * 40,
    "王".encode(), "王".encode("gb18030"), "\u202e".encode(),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_in_the_corpus_finds_nothing(name: str, targets: Targets) -> None:
    for raw in SEEDS[name]:
        targets[name](raw)


def test_every_target_has_a_corpus(targets: Targets) -> None:
    assert set(NAMES) == set(targets)


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed that was cut, doubled, spliced, flipped and told other things, a few times over."""
    raw = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(raw)))
        to = min(len(raw), at + draw(st.integers(0, 16)))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "replace", "double", "splice", "end"])):
            case "flip" if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(raw):
                raw[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 10, 34, 44]))
            case "cut":
                del raw[at:to]
            case "insert":
                raw[at:at] = draw(st.sampled_from(PIECES))
            case "replace":
                raw[at:to] = draw(st.sampled_from(PIECES))
            case "double":
                raw[at:at] = raw[at:to] * draw(st.integers(1, 50))
            case "splice":
                other = draw(st.sampled_from(seeds))
                raw[at:] = other[draw(st.integers(0, len(other))) :]
            case "end":
                del raw[at:]
    return bytes(raw)


@pytest.mark.parametrize("name", NAMES)
def test_mutations_find_nothing(name: str, targets: Targets) -> None:
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(raw=mutated(SEEDS[name]))
    def finds_nothing(raw: bytes) -> None:
        targets[name](raw)

    finds_nothing()
