"""The hash tree: as published, and its proofs prove what they say and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import merkle
from models.merkle import ProofInvalid, Tree

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test tree that implementations of Certificate Transparency share: its root at every size."""
FIRST_HALF = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
LAST_PAIR = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
FIFTH = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
SECOND_PAIR = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"

sizes = st.integers(1, 700)


def grown(size: int) -> tuple[Tree, merkle.Subtree]:
    """A tree of so many leaves, and its complete subtrees."""
    first = merkle.leaves([b"%d" % number for number in range(size)])
    tree = Tree()
    kept = {(0, position): one for position, one in enumerate(first)}
    for row in tree.extend(first):
        kept |= {(row.level, row.first + at): one for at, one in enumerate(row.hashes)}
    return tree, lambda level, position: kept[level, position]


def of_entries() -> merkle.Subtree:
    kept = {(0, position): merkle.leaf(entry) for position, entry in enumerate(ENTRIES)}
    for row in Tree().extend(merkle.leaves(ENTRIES)):
        kept |= {(row.level, row.first + at): one for at, one in enumerate(row.hashes)}
    return lambda level, position: kept[level, position]


@pytest.mark.parametrize(("size", "root"), list(enumerate(ROOTS)))
def test_the_roots_are_the_published_ones(size: int, root: str) -> None:
    tree = Tree()
    tree.extend(merkle.leaves(ENTRIES[:size]))
    assert tree.root().hex() == root


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (5, 8, [FIFTH, LAST_PAIR, FIRST_HALF]),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", SECOND_PAIR, FIFTH]),
    ],
)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, path: list[str]) -> None:
    assert [one.hex() for one in merkle.inclusion(index, size, of_entries())] == path


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (1, 1, []),
        (
            1, 8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", SECOND_PAIR,
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", LAST_PAIR, FIRST_HALF]),
        (2, 5, [SECOND_PAIR, FIFTH]),
    ],
)  # fmt: skip
def test_consistency_proofs_are_the_published_ones(old: int, new: int, path: list[str]) -> None:
    assert [one.hex() for one in merkle.consistency(old, new, of_entries())] == path


@given(st.lists(st.integers(0, 40), max_size=8))
def test_it_does_not_matter_in_how_many_steps_a_tree_grew(steps: list[int]) -> None:
    at_once, in_steps = Tree(), Tree()
    first = merkle.leaves([b"%d" % number for number in range(sum(steps))])
    whole = {(row.level, row.first + at): one for row in at_once.extend(first) for at, one in enumerate(row.hashes)}
    parts: dict[tuple[int, int], bytes] = {}
    begun = 0
    for step in steps:
        for row in in_steps.extend(first[begun : begun + step]):
            parts |= {(row.level, row.first + at): one for at, one in enumerate(row.hashes)}
        begun += step
    assert (at_once, whole) == (in_steps, parts)
    assert merkle.peaks_of(in_steps.size) == [
        (level, (in_steps.size >> level) - 1) for level in sorted(in_steps.peaks, reverse=True)
    ]


@given(sizes, st.data())
def test_a_proof_leads_from_its_leaf_to_the_root_and_no_other_leaf_does(size: int, data: st.DataObject) -> None:
    tree, subtree = grown(size)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, subtree)
    assert merkle.root_of_inclusion(subtree(0, index), index, size, path) == tree.root()
    assert merkle.root_of_inclusion(merkle.leaf(b"other"), index, size, path) != tree.root()
    if path:
        with pytest.raises(ProofInvalid):
            merkle.root_of_inclusion(subtree(0, index), index, size, path[1:])
    with pytest.raises(ProofInvalid):
        merkle.root_of_inclusion(subtree(0, index), index, size, [*path, merkle.EMPTY])


@given(sizes, st.data())
def test_an_older_root_is_proved_and_no_other_is(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    (before, _), (after, subtree) = grown(old), grown(new)
    path = merkle.consistency(old, new, subtree)
    assert merkle.roots_of_consistency(old, new, before.root(), path) == (before.root(), after.root())
    other = merkle.leaf(b"other")
    assert merkle.roots_of_consistency(old, new, other, path) != (other, after.root())
    with pytest.raises(ProofInvalid):
        merkle.roots_of_consistency(old, new, before.root(), [*path, other])
    if path:
        with pytest.raises(ProofInvalid):
            merkle.roots_of_consistency(old, new, before.root(), path[:-1])


@pytest.mark.parametrize(("index", "size"), [(1, 1), (-1, 4), (0, 1 << 70)])
def test_a_leaf_that_cannot_be_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        merkle.root_of_inclusion(merkle.EMPTY, index, size, [])


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (1, 1 << 70)])
def test_sizes_that_cannot_be_are_refused(old: int, new: int) -> None:
    with pytest.raises(ProofInvalid):
        merkle.roots_of_consistency(old, new, merkle.EMPTY, [])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ProofInvalid):
        merkle.inclusion(3, 3, of_entries())
    with pytest.raises(ProofInvalid):
        merkle.consistency(4, 3, of_entries())
    assert merkle.consistency(0, 3, of_entries()) == merkle.consistency(3, 3, of_entries()) == []
