"""Which cases there are: the whole matrix, and a sample in which every kind of fault and every family appears."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.torture.cases import (
    AILMENTS,
    Case,
    ailment,
    clock_jumps,
    foreign_lease,
    host_key_changed,
    kill,
    moments_of,
    on_wire,
    overtaken,
    restarted,
    small_disk,
    turns_of,
    two_workers,
)
from tests.torture.miniature import STAGES, Ground
from tests.torture.wire import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOURS: Final = 3600.0
BOTH: Final = (False, True)
HOWS: Final = {
    "request": ("cut", "reset", "hole up", "hole"), "part": ("reset", "cut"), "reply": ("cut", "reset", "hole down"),
}  # fmt: skip
ONLY_ASKING: Final = (
    *(f"{when} {act}" for when in ("before", "within", "after") for act in ("_find", "_list", "_read", "open")),
    "begin",
    "before _ask",  # as after the answer before it
    "before _answer",  # as after the question
)
"""Moments at acts that change nothing, here or there."""
ASKERS: Final = ("SftpDrop._find", "SftpDrop._list", "SftpDrop._read", "Drop.__enter__")
"""Whose requests change nothing."""
CUTS: Final = 12
"""Offsets at which the carrying of a large file is cut."""
WHOLE_EVERY: Final = 8
"""After so many kills once, the rest of the loop is run besides recovering."""
MANIFOLD: Final = ("place", "collect")
"""Stages whose acts meet every trouble at every turn; in the others each turn meets one, a different one each time."""


@dataclass(frozen=True)
class Traces:
    """What an undisturbed run of every stage passes through."""

    moments: dict[str, list[str]]
    turns: dict[str, list[tuple[str, int, int, int, int]]]

    @classmethod
    def of(cls, ground: Ground) -> Traces:
        """Run every stage, and watch."""
        names = [stage.name for stage in STAGES]
        return cls({name: moments_of(ground, name) for name in names}, {name: turns_of(ground, name) for name in names})


def whole(traces: Traces, *, rest: bool = True) -> list[Case]:
    """Every case. `rest`: after recovery the rest of the loop is run, too."""
    return [
        *_kills(traces, rest),
        *_wire(traces, rest),
        *_servers(traces, rest),
        *_workers(traces, rest),
        *_clocks(traces, rest),
    ]


def telling(names: list[str]) -> list[tuple[int, str]]:
    """Number and name of every moment but those before which nothing has changed since the one before.

    A process that only asked or read since has left nothing else behind: of such moments the first of each name stands
    for all. Every commit, every file and every act that changes the server is there, each time that it comes.
    """
    seen: set[str] = set()
    chosen = []
    for number, name in enumerate(names, 1):
        if name not in seen or not (name.startswith(ONLY_ASKING) or name.endswith(ASKERS)):
            chosen.append((number, name))
        seen.add(name)
    return chosen


def _kills(traces: Traces, rest: bool) -> Iterator[Case]:
    """At every moment; the agency takes at once what it finds, or leaves it lying: by turns, and both in placing."""
    for stage, names in traces.moments.items():
        for place, (number, name) in enumerate(telling(names)):
            for fast in BOTH if stage == "place" else BOTH[place % 2 : place % 2 + 1]:
                yield kill(stage, number, name, fast=fast, whole=rest and place % WHOLE_EVERY == 0)


def _phases(turns: list[tuple[str, int, int, int, int]], *, beyond: bool) -> Iterator[tuple[str, int, int]]:
    """Act, which of that name, and turn: every turn of a name's first act; `beyond`, of its second and last."""
    last = {act: nth for act, nth, *_ in turns}
    for act, nth, many, _, _ in turns:
        if nth == 1 or (beyond and nth in {2, last[act]}):
            for turn in range(1, many + 1):
                yield act, nth, turn


def _wire(traces: Traces, rest: bool) -> Iterator[Case]:
    for stage, turns in traces.turns.items():
        for number, (act, nth, turn) in enumerate(_phases(turns, beyond=stage in MANIFOLD)):
            for where, hows in HOWS.items():
                chosen = hows if stage in MANIFOLD and nth == 1 else (hows[number % len(hows)],)
                for how in chosen:
                    trouble = Trouble(how, act, nth, turn, where)  # type: ignore[arg-type]  # literals, from above
                    yield on_wire(stage, trouble, fast=bool(number % 2), whole=rest and number % WHOLE_EVERY == 0)
            if nth == 1 and turn == 1:
                yield on_wire(stage, Trouble("throttle", act, nth, turn, "request"), fast=False, whole=rest)
        for how in ("cut", "reset", "hole"):
            yield on_wire(stage, Trouble(how, "open", 1, 0, "accept"), fast=False, whole=rest)  # type: ignore[arg-type]


def large(turns: dict[str, list[tuple[str, int, int, int, int]]]) -> list[Case]:
    """A large file cut at offsets all along its way, up and down, for a world of many rows."""
    cases = []
    for stage, act, where, column in (("place", "_upload", "request", 3), ("collect", "_read", "reply", 4)):
        act_turns = max((one for one in turns[stage] if one[0] == act), key=lambda one: one[column])
        for cut in range(CUTS):
            offset = int(act_turns[column]) * cut // CUTS
            for how in ("cut", "reset", "hole")[cut % 3 :][:1]:
                trouble = Trouble(how, act, act_turns[1], 1, where, offset)  # type: ignore[arg-type]
                cases.append(on_wire(stage, trouble, fast=bool(cut % 2), whole=False, resuming=True))
    return cases


def _servers(traces: Traces, rest: bool) -> Iterator[Case]:
    for ill in AILMENTS:
        for stage in ill.stages:
            for fast in BOTH if "fast_consumer" not in ill.faults else (False,):
                yield ailment(ill, stage, fast=fast, whole=rest)
    for stage in ("place", "collect"):
        yield host_key_changed(stage, whole=rest)
        for how in ("full", "freed", "read-only"):
            yield small_disk(stage, how, whole=rest)
    yield from _restarts(traces, rest)


def _restarts(traces: Traces, rest: bool) -> Iterator[Case]:
    for stage, acts in (("place", ("open", "_upload", "_rename")), ("collect", ("_list", "_read", "_rename"))):
        for act in acts:
            for nth in (1, 2):
                for where in ("request", "reply"):
                    if any((act, nth) == one[:2] for one in traces.turns[stage]):
                        yield restarted(stage, act, nth, where, whole=rest)


def _workers(traces: Traces, rest: bool) -> Iterator[Case]:
    for stage in traces.moments:
        for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
            yield two_workers(stage, delay, whole=rest)
    for stage, names in traces.moments.items():
        for place, (number, name) in enumerate(telling(names)):
            if place % (2 if stage == "place" else 8) == 0:
                yield overtaken(stage, number, name, fast=bool(place // 2 % 2), whole=rest and place % WHOLE_EVERY == 0)


def _clocks(traces: Traces, rest: bool) -> Iterator[Case]:
    for stage, names in traces.moments.items():
        for seconds in (-20 * HOURS, -2 * HOURS, 2 * HOURS, 48 * HOURS):  # a day back, files would be of the future
            for asked in (1, 3, 6, 12, 20):
                yield clock_jumps(stage, asked, seconds, whole=rest)
            for share in (1, 2, 3):
                moment = len(names) * share // 4
                yield kill(stage, moment, names[moment - 1], fast=bool(share % 2), whole=rest, jump=seconds)
        for ahead in (600.0, 400 * 24 * HOURS):
            yield foreign_lease(stage, ahead, whole=rest)


def sampled(cases: Iterable[Case], seed: int, most: int | None = None) -> list[Case]:
    """One case of each kind and family, drawn by the seed; the same seed draws the same.

    most: no more than so many: one of each kind, then of each family of kills, then of the others.
    """
    draw = random.Random(seed)
    families: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        families.setdefault((case.kind, case.family), []).append(case)
    drawn = [draw.choice(families[key]) for key in sorted(families)]
    if most is None:
        return drawn
    draw.shuffle(drawn)
    first = {case.kind: case for case in reversed(drawn)}
    kills = [case for case in drawn if case.kind == "kill -9"]
    chosen = [*first.values()]
    chosen += [case for case in kills if case not in chosen]
    chosen += [case for case in drawn if case not in chosen]
    return chosen[:most]
