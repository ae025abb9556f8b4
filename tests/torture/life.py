"""The life of an exchange as a state machine: verbs, crashes, clocks and two workers in any order.

python -m tests.torture.life [--examples 8] [--steps 12] [--seed SEED]

Hypothesis draws what happens next; every verb runs in a process of its own and may be killed in it (SIGKILL). After
each step it is looked whether anything is where no life leads, lost, doubled, out of sequence or untold; in the end the
world is left in peace, and everything must have come to where it was to go, once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.orm import configure_mappers

from flows.collect import collect
from flows.deliver import deliver
from flows.place import prepare
from flows.recall import recall_placements
from models import lives
from models.errors import ConsignError
from models.tables import InboundFile, Placement, Transmission
from tests.torture.lanes import KILLED, Child, Ended, done, forked
from tests.torture.miniature import Count, Ground, Miniature, count, counted_so_far, rows
from tests.torture.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Callable

PLANS: Final = 5
ROWS: Final = 4
PEACE_ROUNDS: Final = 4
MOMENTS: Final = st.integers(1, 70)
LIVES: Final = {"transmission": lives.TRANSMISSION, "inbound": lives.INBOUND, "placement": lives.PLACEMENT}


def reachable(moves: lives.Moves) -> dict[str, set[str]]:
    """Where each state can lead to, in however many moves, itself included."""
    leads = {state: {state, *targets} for state, targets in moves.items()}
    for _ in leads:
        for targets in leads.values():
            targets |= {further for target in list(targets) for further in leads[target]}
    return leads


LEADS: Final = {name: reachable(moves) for name, moves in LIVES.items()}


class Life(RuleBasedStateMachine):
    """One exchange, from its first plan on."""

    ground: ClassVar[Ground]
    steps_done: ClassVar[int] = 0
    crashes: ClassVar[int] = 0

    @initialize()
    def begins(self) -> None:
        """Plans are approved, nothing is sent."""
        self.ground.put_back("place")
        self.states: dict[str, dict[str, str]] = {name: {} for name in LIVES}
        self.planned = 0
        self.month = 0

    # -- what may happen -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.planned < PLANS)
    @rule()
    def is_prepared(self) -> None:
        """The next plan's placements and transmissions become rows."""
        number, self.planned = self.planned, self.planned + 1
        self._does(lambda at: prepare(at.plans[number]))

    @rule()
    def is_sent(self) -> None:
        """What waits is sealed and delivered, old bytes are let go, leftovers are swept."""
        self._does(lambda _: deliver())

    @rule()
    def is_collected(self) -> None:
        """What the agency left is taken in."""
        self._does(lambda _: collect())

    @precondition(lambda self: self.planned < PLANS)
    @rule(moment=MOMENTS)
    def is_prepared_and_killed_in_sending(self, moment: int) -> None:
        """There is something to send, and the process dies in it."""
        self.is_prepared()
        Life.crashes += self._does(VERBS["deliver"], moment).code == KILLED

    @rule(moment=MOMENTS)
    def works_and_is_killed_in_collecting(self, moment: int) -> None:
        """There may be something to collect, and the process dies in it."""
        self.agency_acknowledges()
        self.agency_works()
        Life.crashes += self._does(VERBS["collect"], moment).code == KILLED

    @rule(first=st.sampled_from(["deliver", "collect"]), second=st.sampled_from(["deliver", "collect"]))
    def two_workers(self, first: str, second: str) -> None:
        """Two do it at the same time."""
        both = [self._begun(VERBS[first]), self._begun(VERBS[second])]
        for one in both:
            self._ended_well(one.wait())

    @rule()
    def agency_takes(self) -> None:
        """The agency takes away what is there."""
        self._agency(lambda at: at.agency.take())

    @rule()
    def agency_acknowledges(self) -> None:
        """It opens its mail and confirms what was placed."""

        def act(at: Miniature) -> None:
            at.agency.open_mail(at.clock.now)
            at.agency.acknowledge(at.clock.now.date(), at.clock.now)

        self._agency(act)

    @rule()
    def agency_works(self) -> None:
        """It reports and remits, and gives back what was recalled."""
        self.month += 1
        month = self.month

        def act(at: Miniature) -> None:
            at.clock.now += timedelta(hours=25)
            at.agency.open_mail(at.clock.now)
            at.agency.work(month, at.clock.now.date(), at.clock.now)
            at.agency.give_back(at.clock.now.date(), at.clock.now)

        self._agency(act)

    @rule(many=st.integers(1, 3))
    def is_recalled(self, many: int) -> None:
        """Some of what is acknowledged is taken back."""

        def act(at: Miniature) -> None:
            out = [str(row.placement_id) for row in rows(at, Placement) if row.state == "acknowledged"]
            if out:
                recall_placements(",".join(out[:many]), "request")

        self._does(act)

    @rule(hours=st.sampled_from([-20.0, -1.0, 0.5, 3.0, 30.0]))
    def clock_jumps(self, hours: float) -> None:
        """The clock jumps; over the whole it goes forward."""

        def act(at: Miniature) -> None:
            at.clock.now += timedelta(hours=hours)

        self._agency(act)

    # -- what must be so after every step ------------------------------------------------------------------------------

    @invariant()
    def nothing_is_wrong(self) -> None:
        """States moved along their lives; nothing is doubled; sequences, sealed bytes and the audit chain are whole."""
        if not hasattr(self, "states"):
            return
        Life.steps_done += 1
        ended = done(self._looked)
        assert ended.well, ended
        for name, found in ended.answer["states"].items():
            before = self.states[name]
            for one, state in found.items():
                began = before.get(one, next(iter(LIVES[name])))
                assert state in LEADS[name][began], f"{name} {one} went from {began} to {state}"
            assert set(before) <= set(found), f"{name} vanished"
            self.states[name] = found
        assert ended.answer["wrong"] == []

    def _looked(self) -> dict[str, Any]:
        with self.ground.open() as at:
            return {
                "states": {
                    "transmission": {str(row.transmission_id): row.state for row in rows(at, Transmission)},
                    "inbound": {str(row.file_id): row.state for row in rows(at, InboundFile)},
                    "placement": {str(row.placement_id): row.state for row in rows(at, Placement)},
                },
                "wrong": counted_so_far(at),
            }

    # -- and in the end ------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Left in peace, everything comes to where it was to go, once."""
        if not hasattr(self, "states"):
            return

        def act() -> dict[str, Any]:
            with self.ground.open() as at:
                for _ in range(PEACE_ROUNDS):
                    at.clock.now += timedelta(hours=30)
                    deliver()
                    at.agency.open_mail(at.clock.now)
                    at.agency.acknowledge(at.clock.now.date(), at.clock.now)
                    at.agency.give_back(at.clock.now.date(), at.clock.now)
                    collect()
                told = count(at)
                left = Counter(row.state for row in rows(at, Placement)).get("placed", 0)
                told.problems += [f"{left} placements were never acknowledged"] if left else []
                return told.as_json()

        ended = done(act)
        assert ended.well, ended
        told = Count(**ended.answer)
        assert told.clean, told

    # -- how -----------------------------------------------------------------------------------------------------------

    def _begun(self, verb: Callable[[Miniature], object], moment: int = 0) -> Child:
        def act() -> None:
            with self.ground.open() as at:
                at.clock.now += timedelta(seconds=1)
                if moment:
                    Moments(at=moment).watch(at.desk)
                verb(at)

        return forked(act)

    def _does(self, verb: Callable[[Miniature], object], moment: int = 0) -> Ended:
        ended = self._begun(verb, moment).wait()
        if not (moment and ended.code == KILLED):
            self._ended_well(ended)
        return ended

    def _ended_well(self, ended: Ended) -> None:
        assert ended.well or (ended.code == 0 and ended.retryable), ended

    def _agency(self, act: Callable[[Miniature], object]) -> None:
        def doing() -> None:
            with self.ground.open() as at:
                with suppress(ConsignError):
                    act(at)
                self.ground.remember(at)

        ended = done(doing)
        assert ended.well, ended


VERBS: Final[dict[str, Callable[[Miniature], object]]] = {
    "deliver": lambda _: deliver(),
    "collect": lambda _: collect(),
}


def main() -> int:
    """Run so many lives; 1 with the shortest story of what went wrong, where something does."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--examples", type=int, default=8)
    asked.add_argument("--steps", type=int, default=12)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="consign-life-") as name:
        base = Path(name).resolve()
        configure_mappers()
        Life.ground = Ground(base / "home", base / "kept", ROWS, PLANS)
        (base / "home" / "agencies").mkdir(parents=True)
        built = done(lambda: Life.ground.build(None))
        assert built.well, built
        chosen = settings(
            max_examples=options.examples,
            stateful_step_count=options.steps,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        run_state_machine_as_test(seed(options.seed)(Life), settings=chosen)
    print(f"{Life.steps_done} steps, {Life.crashes} processes killed in them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
