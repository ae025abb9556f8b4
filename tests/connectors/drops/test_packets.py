"""Packets: what is sent is what arrives, whatever the pieces; what is not authentic goes nowhere."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from paramiko import SSHException
from paramiko.buffered_pipe import PipeTimeout
from paramiko.message import Message

from connectors.drops import Pushed, packets
from connectors.drops.packets import LARGEST_PACKET, Packets, Pipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.connectors.drops.conftest import Make, Place

KEY, NONCE = bytes(range(16)), bytes(range(12))
CHANNEL = 7
_DATA, _REQUEST = 94, 98


def message(kind: int, *fields: bytes) -> Message:
    return Message(bytes([kind]) + b"".join(fields))


def data(block: bytes, channel: int = CHANNEL) -> Message:
    return message(_DATA, struct.pack(">II", channel, len(block)), block)


class Ends:
    """Two ends of one connection that share their keys."""

    def __init__(self, *, aead: bool) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.settimeout(0.1)
        self.sender, self.reader = Packets(self.near), Packets(self.far)
        if aead:
            how = {"block_engine": AESGCM(KEY), "block_size": 16, "mac_engine": None, "mac_size": 16, "mac_key": b""}
            self.sender.set_outbound_cipher(**how, aead=True, iv_out=NONCE)
            self.reader.set_inbound_cipher(**how, aead=True, iv_in=NONCE)

    def close(self) -> None:
        self.sender.close()
        self.reader.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends(aead=True)
    yield made
    made.close()


@pytest.mark.parametrize("aead", [False, True], ids=["plain, by paramiko", "AES-GCM, ours"])
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=8), split=st.integers(1, 5000))
def test_messages_and_data_arrive_in_order_whatever_the_pieces(aead: bool, sizes: list[int], split: int) -> None:
    ends = Ends(aead=aead)
    try:
        pipe = Pipe(2**20)
        ends.reader.lead(CHANNEL, pipe)
        blocks = [bytes([number % 256]) * size for number, size in enumerate(sizes)]

        def send() -> None:
            for block in blocks:
                for at in range(0, len(block), split * 8):
                    ends.sender.send_message(data(block[at : at + split * 8]))
            ends.sender.send_message(message(_REQUEST, b"the end"))

        sending = threading.Thread(target=send)
        sending.start()
        while True:
            kind, said = ends.reader.read_message()
            if kind == _REQUEST:
                break
            said.get_int()
            pipe.feed(said.get_binary())  # as paramiko hands it over where the cipher is not ours
        sending.join(10)
        assert said.get_remainder() == b"the end"
        assert pipe.read(10**9) == b"".join(blocks)
    finally:
        ends.close()


def test_data_for_a_channel_that_is_not_led_comes_as_a_message(ends: Ends) -> None:
    ends.reader.lead(CHANNEL, Pipe(2**20))
    ends.sender.send_message(data(b"other", channel=8))
    kind, said = ends.reader.read_message()
    assert (kind, said.get_int(), said.get_binary()) == (_DATA, 8, b"other")


def test_a_packet_is_what_rfc_5647_says(ends: Ends) -> None:
    ends.sender.send_message(message(_REQUEST, b"hello"))
    raw = ends.far.recv(1000)
    (length,) = struct.unpack(">I", raw[:4])
    plain = AESGCM(KEY).decrypt(NONCE, raw[4:], raw[:4])
    assert len(raw) == 4 + length + 16
    assert length % 16 == 0
    assert plain[0] >= 4
    assert plain[1 : len(plain) - plain[0]] == bytes([_REQUEST]) + b"hello"


@pytest.mark.parametrize("at", [0, 3, 4, 20, -1])
def test_a_changed_bit_anywhere_is_not_authentic(ends: Ends, at: int) -> None:
    ends.sender.send_message(message(_REQUEST, b"hello" * 10))
    raw = bytearray(ends.far.recv(1000))
    raw[at] ^= 1
    ends.near.sendall(raw + bytes(4096))
    with pytest.raises(SSHException):
        ends.reader.read_message()


def test_packets_cannot_be_played_again_or_left_out(ends: Ends) -> None:
    ends.sender.send_message(message(_REQUEST, b"one"))
    one = ends.far.recv(1000)
    ends.sender.send_message(message(_REQUEST, b"two"))
    two = ends.far.recv(1000)
    ends.near.sendall(one + one)
    assert ends.reader.read_message()[1].get_remainder() == b"one"
    with pytest.raises(SSHException):
        ends.reader.read_message()
    del two


@pytest.mark.parametrize("length", [0, 8, 17, LARGEST_PACKET + 16, 0xFFFFFFF0])
def test_a_packet_of_impossible_length_is_refused_unread(ends: Ends, length: int) -> None:
    ends.near.sendall(struct.pack(">I", length) + bytes(64))
    with pytest.raises(SSHException):
        ends.reader.read_message()


def test_data_said_to_be_longer_than_its_packet_is_refused(ends: Ends) -> None:
    ends.reader.lead(CHANNEL, Pipe(2**20))
    ends.sender.send_message(message(_DATA, struct.pack(">II", CHANNEL, 500), b"short"))
    with pytest.raises(SSHException):
        ends.reader.read_message()


def test_a_greeting_without_an_end_is_refused() -> None:
    ends = Ends(aead=False)
    ends.near.settimeout(5)
    threading.Thread(target=lambda: ends.near.sendall(b"x" * 2 * LARGEST_PACKET), daemon=True).start()
    with pytest.raises(SSHException):
        ends.reader.readline(5)
    ends.close()


def test_who_waits_for_much_is_woken_when_it_is_there_or_none_will_come() -> None:
    pipe = Pipe(2**20)
    pipe.wanted = 10
    pipe.feed(b"12345")
    with pytest.raises(PipeTimeout):
        pipe.read(100, 0.01)
    threading.Timer(0.05, pipe.feed_all, ([b"678", memoryview(b"90ab")],)).start()
    assert pipe.read(11, 5) == b"1234567890a"
    threading.Timer(0.05, pipe.close).start()
    assert pipe.read(100, 5) == b"b"
    assert pipe.read(100, 5) == b""


def test_more_than_was_granted_is_not_kept() -> None:
    pipe = Pipe(10)
    pipe.feed(b"1234567890")
    with pytest.raises(SSHException):
        pipe.feed(b"1")
    assert pipe.read(4) == b"1234"
    pipe.feed(b"abcd")
    assert len(pipe) == 10


def test_a_plain_packet_of_impossible_length_is_refused_unread() -> None:
    ends = Ends(aead=False)
    ends.near.sendall(struct.pack(">I", 0x7FFFFFF8) + bytes(64))
    with pytest.raises(SSHException):
        ends.reader.read_message()
    ends.close()


def test_we_ask_for_new_keys_when_enough_went_through(
    openssh: Place, transmission: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "REKEY_BYTES", 2**20)
    asked: list[object] = []
    trigger = Packets._trigger_rekey  # type: ignore[attr-defined]  # the stubs leave it out

    def counted(self: Packets) -> None:
        asked.append(self)
        trigger(self)

    monkeypatch.setattr(Packets, "_trigger_rekey", counted)
    sent = transmission(size=16 * 2**20)
    with openssh.drop() as drop:
        assert sent.push(drop) is Pushed.SENT
        (openssh.outgoing / sent.name).rename(openssh.incoming / sent.name)
        drop.fetch(drop.claim(drop.waiting()[0]), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == sent.content
    assert len(asked) > 8
