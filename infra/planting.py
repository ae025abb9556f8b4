"""Files with a fault in them, sealed for an agency that is being certified: it must notice, and not book them.

A planted file is an ordinary transmission of the certification's own store that was sealed here instead of in the
outbox; the outbox then delivers it like any other, once. What is wrong with it stands in models.certification.PLANTS.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from connectors.layouts.package import MANIFEST
from infra import gate, packing
from infra.outbox import scratch
from infra.packing import suffix_of
from infra.store import exchange
from keys.entries import Entry
from keys.errors import SealRefused
from keys.sealing import seal_for, suite_named
from models.kinds import file_name
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk
    from models.gate.verdict import Verdict

NO_CURRENCY = "XQZ"
"""ISO 4217 has no such currency."""


@dataclass(frozen=True)
class Planted:
    """A sealed file with its fault."""

    name: str
    sha256: str
    size: int
    rows: int
    package_sha256: str
    previous: str | None
    verdict: Verdict


def plant(desk: Desk, transmission_id: int, fault: str, used: int | None = None) -> bool:
    """The prepared transmission is sealed with the fault in it; False where it was sealed before.

    fault: a name of models.certification.PLANTS, or `update`. used: for `repeat`, the number that was used before.
    """
    with desk.database.read() as connection:
        row = exchange.transmission(connection, transmission_id)
        if row.state != "prepared":
            return False
        agency = exchange.agency(connection, row.agency)
        planted = _sealed(desk, connection, agency, _renamed(row, agency.suite, used) if used else row, fault)
    with desk.database.write() as connection:
        exchange.advance(
            connection,
            transmission_id,
            "sealed",
            name=planted.name,
            rows=planted.rows,
            package_sha256=planted.package_sha256,
            sealed_sha256=planted.sha256,
            sealed_size=planted.size,
            sealed_path=f"{row.agency}/{planted.name}",
            previous_sha256=planted.previous,
            sealed_at=desk.now(),
        )
        gate.record(connection, desk, exchange.transmission(connection, transmission_id), planted.verdict,
                    planted.package_sha256)  # fmt: skip
    return True


@dataclass(frozen=True)
class _Named:
    """A transmission's row under another number and name."""

    row: Any
    name: str
    sequence: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)


def _renamed(row: Row[Any], suite: str, used: int) -> _Named:
    """The same under a number that was used before, on the day before: its name is new, its number is not."""
    day = row.prepared_on - timedelta(days=1)
    return _Named(row, file_name(row.lender, row.agency, row.kind, f"{day:%Y%m%d}", used, suffix_of(suite)), used)


def _sealed(desk: Desk, connection: Connection, agency: Row[Any], row: Any, fault: str) -> Planted:
    target = desk.folder("outbox") / agency.agency / row.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with scratch(desk) as folder:
        written = packing.write(desk, connection, agency, row, folder, _SPOIL_LINES.get(fault))
        plain = written.path
        if fault in _SPOIL_PACKAGE:
            _rewrite(plain, _SPOIL_PACKAGE[fault])
        if fault == "foreign_key":
            _seal_with_a_foreign_key(desk, agency, plain, target)
        else:
            seal_for(desk.keyring, agency.agency, agency.suite, plain, target, desk.now())
        package_sha256 = _sha256(plain)
    if fault == "damaged":
        _damage(target)
    previous = exchange.previous_sha256(connection, exchange.transmission(connection, row.transmission_id))
    return Planted(
        row.name, _sha256(target), target.stat().st_size, written.written.rows, package_sha256, previous,
        written.verdict,
    )  # fmt: skip


def _seal_with_a_foreign_key(desk: Desk, agency: Row[Any], plain: Path, target: Path) -> None:
    """Sealed to the agency, by somebody whom it does not know."""
    now, suite = desk.now(), suite_named(agency.suite)
    until = now + timedelta(days=1)
    made = suite.new_keys(now, until)
    stranger = Entry(
        "own", agency.suite, "1", agency.suite, created_at=now, valid_from=now, valid_until=until,
        fingerprint=made.fingerprint, public=made.public, secret=made.secret,
    )  # fmt: skip
    valid = [key for key in desk.keyring.trusted_keys(agency.agency, agency.suite) if key.state(now) == "valid"]
    if not valid:
        raise SealRefused(f"{agency.agency} has given us no valid key", fix="`consign agency keys trust`")
    suite.seal(plain, target, signer=stranger, recipients=valid[:1], now=now)


def _damage(sealed: Path) -> None:
    """One bit in the middle of the sealed file is another; its signature is untouched."""
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2] ^= 1
    sealed.write_bytes(content)


def _rewrite(package: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Every member of the ZIP as `change` makes it."""
    with zipfile.ZipFile(package) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def _one_digit_more(text: str) -> str:
    """The amount with its first digit one higher."""
    at = next(place for place, character in enumerate(text) if character.isdigit())
    return f"{text[:at]}{(int(text[at]) + 1) % 10 or 1}{text[at + 1 :]}"


def _wrong_sum(name: str, content: bytes) -> bytes:
    if name != MANIFEST:
        return content
    described = json.loads(content)
    sums = described["consign"]["control"]["sums"]
    described["consign"]["control"]["sums"] = {currency: _one_digit_more(total) for currency, total in sums.items()}
    return json.dumps(described, ensure_ascii=False, indent=1, sort_keys=True).encode()


def _wrong_amount(name: str, content: bytes) -> bytes:
    """The last digit of the table is another: its hash is no more what the manifest says."""
    if name == MANIFEST:
        return content
    text = bytearray(content)
    at = max(place for place, byte in enumerate(text) if chr(byte).isdigit())
    text[at] = ord("1") if text[at] != ord("1") else ord("2")
    return bytes(text)


def _bad_lines(frame: pd.DataFrame) -> pd.DataFrame:
    """The last line is in no currency, and the first stands there again at the end."""
    lines = frame.astype({"currency": "object"})
    lines.loc[lines.index[-1], "currency"] = NO_CURRENCY
    assert exponent(NO_CURRENCY) == exponent("CNY")  # noqa: S101 - or the amounts would change with the currency
    return pd.concat([lines, lines.iloc[:1]], ignore_index=True)


_SPOIL_LINES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"lines": _bad_lines}
_SPOIL_PACKAGE: dict[str, Callable[[str, bytes], bytes]] = {
    "control_sum": _wrong_sum,
    "update": _wrong_sum,
    "hash": _wrong_amount,
}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
