"""Numbers and chains: what an agency's files say of the ones before them, and what is somebody's to look at."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import exceptions
from infra.sequence import ranges_missing

if TYPE_CHECKING:
    import pandas as pd

Gateway = Any  # tests/infra/exchange/conftest.py


@pytest.fixture
def frame(gateway: Gateway) -> pd.DataFrame:
    """Six lines of an acknowledgement that would be accepted."""
    found: pd.DataFrame = gateway.acknowledging(gateway.place())
    return found


def sent(gateway: Gateway, frame: pd.DataFrame, number: int, previous: str | None = None, **more: Any) -> str:
    """The n-th line leaves as file n and is taken in; returns the sealed file's SHA-256."""
    row = (number - 1) % len(frame)
    name = gateway.send(
        "acknowledgement", frame[row : row + 1], sequence=number, manifest={"previous": previous}, **more
    )
    digest = hashlib.sha256((gateway.agency.outbox / name).read_bytes()).hexdigest()
    gateway.collect()
    return digest


def unresolved(gateway: Gateway) -> list[tuple[str, str]]:
    """Code and subject of what is open."""
    with gateway.world.desk.database.read() as connection:
        found = exceptions.listed(connection)
    return sorted(zip(found["code"], found["subject"], strict=True))


def detail(gateway: Gateway, code: str) -> dict[str, Any]:
    with gateway.world.desk.database.read() as connection:
        number = int(exceptions.listed(connection, code=code)["exception_id"].iloc[0])
        found: dict[str, Any] = exceptions.whole(connection, number)
    return found


def finding(gateway: Gateway) -> str | None:
    said = gateway.files()["finding"].iloc[-1]
    return None if said != said else str(said)  # noqa: PLR0124 - pandas' nothing is not itself


LINE = "sequence:harbour.quayside.acknowledgement"


def test_a_gap_has_an_owner_until_every_missing_number_is_in(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    sent(gateway, frame, 4)
    assert unresolved(gateway) == [("sequence_gap", LINE)]
    assert detail(gateway, "sequence_gap")["detail"] == {"missing_count": 2, "missing_seq": ["2-3"]}
    sent(gateway, frame, 3)
    assert detail(gateway, "sequence_gap")["detail"] == {"missing_count": 1, "missing_seq": ["2"]}
    sent(gateway, frame, 2)
    assert unresolved(gateway) == []
    sent(gateway, frame, 6)
    assert detail(gateway, "sequence_gap")["occurrence"] == 2


def test_a_number_that_is_used_again_is_refused_and_has_an_owner(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    gateway.send("acknowledgement", frame[1:3], sequence=1)
    assert gateway.collect().refused == 1
    assert unresolved(gateway) == [("sequence_repeat", "file:2")]


def test_a_file_refused_whole_has_used_its_number_up(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    sent(gateway, frame, 2, claims={"hash": "sha256:" + "0" * 64})
    assert finding(gateway) is None
    assert unresolved(gateway) == [("file_refused", "file:2")]
    sent(gateway, frame, 3)
    assert finding(gateway) is None


def test_a_header_that_is_refused_uses_its_number_up(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    sent(gateway, frame.assign(colour="red"), 2)
    assert gateway.files()["state"].tolist() == ["accepted", "refused"]
    sent(gateway, frame, 3)
    assert finding(gateway) is None
    assert unresolved(gateway) == [("file_refused", "file:2")]


def test_a_strangers_file_uses_no_number_up(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    name, plain = gateway.package("acknowledgement", frame[1:2], sequence=2)
    (gateway.agency.outbox / f"{name}.sig").write_bytes(b"-----BEGIN SSH SIGNATURE-----")
    plain.rename(gateway.agency.outbox / name)
    gateway.collect()
    sent(gateway, frame, 3)
    assert finding(gateway) == "sequence_gap"
    assert ("sequence_gap", LINE) in unresolved(gateway)


def test_a_chain_that_holds_says_nothing(gateway: Gateway, frame: pd.DataFrame) -> None:
    first = sent(gateway, frame, 1)
    second = sent(gateway, frame, 2, first)
    sent(gateway, frame, 3, second)
    sent(gateway, frame, 4)  # who writes no `previous` says nothing
    assert gateway.files()["finding"].isna().all()
    assert unresolved(gateway) == []


def test_a_file_that_names_another_before_it_is_taken_and_looked_into(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1)
    sent(gateway, frame, 2, "0" * 64)
    assert finding(gateway) == "chain_broken"
    assert gateway.files()["state"].tolist() == ["accepted", "accepted"]
    assert unresolved(gateway) == [("chain_broken", "file:2")]


def test_a_first_file_has_nothing_before_it_to_compare(gateway: Gateway, frame: pd.DataFrame) -> None:
    sent(gateway, frame, 1, "0" * 64)
    assert finding(gateway) is None


def test_across_a_gap_the_chain_is_compared_when_the_missing_file_comes(gateway: Gateway, frame: pd.DataFrame) -> None:
    first = sent(gateway, frame, 1)
    sent(gateway, frame, 3, "0" * 64)
    assert finding(gateway) == "sequence_gap;chain_unchecked"
    sent(gateway, frame, 2, first)
    assert finding(gateway) == "sequence_late;chain_broken"
    assert unresolved(gateway) == [("chain_broken", "file:3")]


def test_a_missing_file_that_comes_as_it_was_named_mends_everything(gateway: Gateway, frame: pd.DataFrame) -> None:
    first = sent(gateway, frame, 1)
    name = gateway.send("acknowledgement", frame[1:2], sequence=2, manifest={"previous": first})
    held_back = [(path, path.read_bytes()) for path in gateway.agency.outbox.glob(f"{name}*")]
    second = hashlib.sha256((gateway.agency.outbox / name).read_bytes()).hexdigest()
    for path, _ in held_back:
        path.unlink()
    sent(gateway, frame, 3, second)
    for path, content in held_back:
        path.write_bytes(content)
    gateway.collect()
    assert finding(gateway) == "sequence_late"
    assert unresolved(gateway) == []


def test_who_takes_a_refused_file_for_none_may_name_the_one_before_it(gateway: Gateway, frame: pd.DataFrame) -> None:
    first = sent(gateway, frame, 1)
    refused = sent(gateway, frame.assign(colour="red"), 2, first)
    sent(gateway, frame, 3, first)
    assert finding(gateway) is None
    sent(gateway, frame, 4, refused)
    assert finding(gateway) == "chain_broken"


@given(st.sets(st.integers(1, 60), min_size=1))
def test_the_missing_ranges_and_what_came_make_up_every_number(came: set[int]) -> None:
    missing = ranges_missing(np.array(sorted(came), dtype=np.int64))
    numbers = [number for first, last in missing for number in range(first, last + 1)]
    assert sorted([*numbers, *came]) == list(range(1, max(came) + 1))
