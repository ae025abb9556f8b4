"""The lives of things that have one: each a table of moves, and an illegal move names both ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from models.errors import RefusedByPolicy

Moves = Mapping[str, frozenset[str]]


def _life(**moves: str) -> Moves:
    return MappingProxyType({state: frozenset(targets.split()) for state, targets in moves.items()})


PLAN = _life(
    draft="submitted expired rejected",
    submitted="approved rejected expired",
    approved="placed expired rejected",
    placed="",
    rejected="",
    expired="",
)
PLACEMENT = _life(
    planned="placed closed",
    placed="acknowledged recalled closed",
    acknowledged="recalled closed",
    recalled="closed",
    closed="",
)
TRANSMISSION = _life(
    prepared="sealed cancelled",
    sealed="delivered presumed cancelled prepared",
    presumed="delivered acknowledged",
    delivered="acknowledged",
    acknowledged="",
    cancelled="",
)
INBOUND = _life(
    claimed="opened refused",
    opened="accepted refused",
    accepted="",
    refused="",
)
AGENCY = _life(
    prospect="certified closed",
    certified="live closed",
    live="suspended closed",
    suspended="live closed",
    closed="",
)
PIN = _life(
    waiting="pinned withdrawn",
    pinned="retired",
    withdrawn="",
    retired="",
)
ESCROW = _life(
    waiting="approved withdrawn",
    approved="done withdrawn",
    done="",
    withdrawn="",
)
RESOLUTION = _life(
    waiting="done refused withdrawn stale",
    done="undone",
    refused="",
    withdrawn="",
    stale="",
    undone="",
)
SHREDDING = _life(
    waiting="begun withdrawn",
    begun="done",
    done="",
    withdrawn="",
)
ALLOWANCE = _life(
    waiting="approved withdrawn",
    approved="withdrawn",
    withdrawn="",
)
EXCEPTION = _life(
    open="taken resolved",
    taken="open resolved",
    resolved="",
)
CIRCUIT = _life(
    closed="open",
    open="half_open closed",
    half_open="closed open",
)

BREACH = _life(
    open="upheld dismissed withdrawn",
    upheld="dismissed withdrawn",
    dismissed="upheld withdrawn",
    withdrawn="open",
)
COMPLAINT = _life(
    open="taken closed",
    taken="open closed",
    closed="",
)
SUBJECT_REQUEST = _life(
    received="verified refused",
    verified="in_progress refused",
    in_progress="waiting answered refused",
    waiting="in_progress answered refused",
    answered="",
    refused="",
)
POLICY = _life(
    proposed="in_force withdrawn",
    in_force="superseded withdrawn",
    superseded="withdrawn",
    withdrawn="",
)
CONSOLIDATION_BASIS = _life(
    proposed="in_force withdrawn",
    in_force="withdrawn",
    withdrawn="",
)
GATE = _life(
    closed="asked open",
    asked="lifted closed open",
    lifted="closed open",
    open="closed",
)
PROPOSAL = _life(
    proposed="approved refused expired",
    approved="",
    refused="",
    expired="",
)
INSTALMENT_PLAN = _life(
    proposed="awaiting_second approved refused",
    awaiting_second="approved refused",
    approved="fulfilled broken ended",
    refused="",
    fulfilled="",
    broken="",
    ended="",
)
PROPENSITY_MODEL = _life(
    proposed="in_use withdrawn",
    in_use="superseded withdrawn",
    superseded="withdrawn",
    withdrawn="",
)
EVALUATION = _life(
    proposed="approved rejected superseded",
    approved="",
    rejected="",
    superseded="",
)
CONTRACT_PROPOSAL = _life(
    waiting="approved withdrawn",
    approved="",
    withdrawn="",
)
PAYMENT_RUN = _life(
    proposed="approved withdrawn",
    approved="exported withdrawn",
    exported="",
    withdrawn="",
)
AGENCY_PAYMENT = _life(
    proposed="sent withdrawn",
    sent="paid",
    paid="returned",
    returned="",
    withdrawn="",
)


class IllegalMove(RefusedByPolicy):
    """A thing was asked to go where its life does not lead."""

    def __init__(self, what: str, here: str, there: str, moves: Moves) -> None:
        onward = ", ".join(sorted(moves.get(here, frozenset()))) or "nowhere: it has ended"
        super().__init__(f"{what} is {here} and cannot become {there}", fix=f"from {here} it can go to {onward}")
        self.here, self.there = here, there


def moved(what: str, here: str, there: str, moves: Moves) -> str:
    """`there`, if the life allows it. Raises IllegalMove otherwise."""
    if there not in moves.get(here, frozenset()):
        raise IllegalMove(what, here, there, moves)
    return there
