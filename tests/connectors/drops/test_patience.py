"""Retrying is a property of the act: what may mend is tried again, what is final is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.drops import Pushed
from connectors.drops.errors import ExistsButDifferent, RemoteFailed
from connectors.drops.patience import attempts

if TYPE_CHECKING:
    from infra.sandbox.paramiko_host import Faults
    from models.errors import ConsignError
    from tests.connectors.drops.conftest import Make, Place, Transmission


def tries_until(error: type[ConsignError], sent: Transmission, place: Place) -> int:
    """How often the push was tried before the error came out."""
    tried = 0
    try:
        with place.drop() as drop:
            for attempt in attempts(most=3, first_wait=0.01):
                with attempt:
                    tried += 1
                    sent.push(drop)
    except error:
        return tried
    pytest.fail("the push came to an end")


def test_a_lost_answer_is_asked_for_again_and_the_file_is_there_once(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission()
    faults.lose_renames = 1
    pushed = []
    with misbehaving.drop() as drop:
        for attempt in attempts(first_wait=0.01):
            with attempt:
                pushed.append(sent.push(drop))
    assert pushed == [Pushed.ALREADY]
    assert misbehaving.delivered(sent.name) == [sent.content]


def test_what_does_not_mend_is_given_up_after_the_last_attempt(
    misbehaving: Place, faults: Faults, transmission: Make
) -> None:
    sent = transmission()
    faults.refuse_write_from = 0
    assert tries_until(RemoteFailed, sent, misbehaving) == 3


def test_what_is_final_is_not_tried_again(misbehaving: Place, transmission: Make) -> None:
    sent = transmission()
    (misbehaving.outgoing / sent.name).write_bytes(b"other")
    assert tries_until(ExistsButDifferent, sent, misbehaving) == 1
