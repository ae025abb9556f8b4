"""Killed at any step, and run again: delivered exactly once, byte for byte; collected exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.drops import Pushed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.drops import Drop
    from tests.connectors.drops.conftest import Make, Place, Transmission

ACTS = ("_find", "_upload", "_read", "_rename", "_remove", "_make_directory")
MOST_ACTS = 40


@pytest.fixture(params=["folder", "openssh", "proftpd", "misbehaving"])
def place(request: pytest.FixtureRequest) -> Place:
    """Kinds of drop that differ in what a killed run leaves behind; each is killed at every step."""
    found: Place = request.getfixturevalue(request.param)
    return found


class Killed(BaseException):
    """The process is gone: nothing after this line runs."""


class Mortal:
    """Wraps a drop's acts and whatever else is given, and dies at the step it is told: before the act, or after it."""

    def __init__(self, dies_at: int, *, after: bool) -> None:
        self.steps = 0
        self._dies_at = dies_at
        self._after = after

    def wrap(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*arguments: object) -> object:
            self.steps += 1
            dies = self.steps == self._dies_at
            if dies and not self._after:
                raise Killed
            answer = act(*arguments)
            if dies:
                raise Killed
            return answer

        return mortal

    def possess(self, drop: Drop) -> Drop:
        for name in ACTS:
            setattr(drop, name, self.wrap(getattr(drop, name)))
        return drop


def pushed_until_killed(place: Place, sent: Transmission, dies_at: int, *, after: bool) -> bool:
    """Whether the push came to its end before its step of death."""
    mortal = Mortal(dies_at, after=after)
    known = sent.record
    sent.record = mortal.wrap(known)
    try:
        with mortal.possess(place.drop()) as drop:
            sent.push(drop)
    except Killed:
        return False
    finally:
        sent.record = known
    return True


@pytest.mark.parametrize("consumer", ["slow", "fast"])
@pytest.mark.parametrize("after", [False, True], ids=["before the act", "after the act"])
def test_killed_at_any_step_a_push_run_again_delivers_once(
    place: Place, transmission: Make, after: bool, consumer: str
) -> None:
    for dies_at in range(1, MOST_ACTS):
        sent = transmission(f"killed-{dies_at}.zip.age", 70_000 + dies_at, sig=300)
        ended = pushed_until_killed(place, sent, dies_at, after=after)
        if consumer == "fast":
            place.take(sent.name)
        with place.drop() as drop:
            again = sent.push(drop)
        assert place.delivered(sent.name) == [sent.content], f"killed at step {dies_at}"
        assert again in {Pushed.SENT, Pushed.ALREADY, Pushed.PRESUMED}
        if ended:
            break
    else:
        pytest.fail("a push takes more steps than this test walks through")
    assert not [path for path in place.outgoing.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("after", [False, True], ids=["before the act", "after the act"])
def test_killed_at_any_step_a_collection_run_again_collects_once(place: Place, tmp_path: Path, after: bool) -> None:
    for dies_at in range(1, MOST_ACTS):
        name = f"killed-{dies_at}.zip.age"
        place.receive(f"{name}.sig", b"signature")
        place.receive(name, f"content {dies_at}".encode())
        ledger: list[str] = []
        mortal = Mortal(dies_at, after=after)
        ended = True
        try:
            with mortal.possess(place.drop()) as drop:
                collect(drop, ledger, tmp_path)
        except Killed:
            ended = False
        with place.drop() as drop:
            collect(drop, ledger, tmp_path)
            assert drop.claimed(".sig") == []
        assert len(ledger) == 1, f"killed at step {dies_at}"
        archived = (place.incoming / "archive" / "accepted").glob(f"*{name}*")
        assert sorted(path.read_bytes() for path in archived) == sorted([b"signature", f"content {dies_at}".encode()])
        if ended:
            break
    else:
        pytest.fail("a collection takes more steps than this test walks through")
    assert [path.name for path in place.incoming.iterdir() if path.is_file()] == []


def collect(drop: Drop, ledger: list[str], quarantine: Path) -> None:
    """What a caller does: claim, fetch, record in a ledger unique on the hash, archive."""
    for entry in drop.waiting(sidecar_suffix=".sig"):
        drop.claim(entry)
    for claimed in drop.claimed(".sig"):
        fetched = drop.fetch(claimed, quarantine / "got")
        assert fetched.sidecars[".sig"].read_bytes() == b"signature"
        if fetched.sha256 not in ledger:
            ledger.append(fetched.sha256)
        drop.archive(claimed, "accepted")
