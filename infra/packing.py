"""The one place where bytes for agencies are written: composed, through the gate, into a package or file, sealed.

Nothing else opens a writer for an agency or seals a file for one, but the certification's planted faults, which come
through the same gate first (tests/infra/exchange/test_gate.py looks that it stays so).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from connectors.layouts.naming import Named
from connectors.layouts.package import PackageWriter
from connectors.layouts.writing import FlatWriter
from infra import audit, gate
from infra.packages import Composing, Contents, contents_of
from infra.store import exchange, layouts
from keys.sealing import seal_for, suite_named
from models.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from sqlalchemy import Connection, Row

    from connectors.layouts.package import Written
    from connectors.layouts.profiles import Layout
    from infra.wiring import Desk
    from keys.sealing import SealedBy
    from models.gate.verdict import Verdict


@dataclass(frozen=True)
class Packed:
    """A package as it was written and sealed, not recorded yet."""

    contents: Contents
    written: Written
    verdict: Verdict
    by: SealedBy
    sealed: Path
    """where it lies until it is recorded"""
    previous: str | None
    head: dict[str, str] | None


@dataclass(frozen=True)
class Plain:
    """A package as it was written, not sealed yet."""

    contents: Contents
    written: Written
    verdict: Verdict
    path: Path
    previous: str | None
    head: dict[str, str] | None


def suffix_of(suite: str) -> str:
    """The ending of files sealed by this suite."""
    return suite_named(suite).suffix


def pack(desk: Desk, connection: Connection, agency: Row[Any], row: Row[Any], folder: Path) -> Packed:
    """The package written shard by shard and sealed into the folder; the plaintext is gone again.

    Raises GateStopped where something in it may not leave: then nothing was written.
    """
    sealed = folder / row.name
    plain = write(desk, connection, agency, row, folder)
    told = json.loads(row.spec)
    by = seal_for(
        desk.keyring, agency.agency, agency.suite, plain.path, sealed, desk.now(),
        lender=told.get("lender", row.lender), announces=told.get("announces", ""),
    )  # fmt: skip
    plain.path.unlink()
    return Packed(plain.contents, plain.written, plain.verdict, by, sealed, plain.previous, plain.head)


def write(
    desk: Desk,
    connection: Connection,
    agency: Row[Any],
    row: Row[Any],
    folder: Path,
    spoil: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> Plain:
    """The transmission's plain file lies in the folder, written from what the gate let pass.

    spoil: what a certification does to a frame of made-up accounts after the gate, for the agency to notice.
    """
    layout = layouts.recorded(connection, row.layout)
    head = audit.signed_head(connection) if layout is None else None  # a plain file has no manifest to carry it away
    previous = exchange.previous_sha256(connection, row) if layout is None else None
    # the setting bounds what is in memory at once, and so many agencies may be sealed for at once
    work = Composing(
        connection, desk.keyring, row, agency, max(1, desk.settings.shard_rows // desk.settings.agencies_at_once)
    )
    contents = contents_of(work)
    if layout is not None:
        contents = _without(contents, layout.kinds[row.kind].left_out)
    said = {"policy": contents.policy, "policy_version": contents.policy_version, **contents.manifest}
    passed = gate.through(work, contents, said, folder, gate.Allowed.of(connection, desk, row))
    contents = passed.contents
    path = folder / "package.zip"
    with _writer(path, layout, row, agency, contents, {"previous": previous, "audit": head}) as writer:
        for frame in contents.frames:
            writer.write(frame if spoil is None else spoil(frame))
    assert writer.written is not None  # noqa: S101 - the block above has ended without an error
    return Plain(contents, writer.written, passed.verdict, path, previous, head)


def _writer(
    path: Path, layout: Layout | None, row: Row[Any], agency: Row[Any], contents: Contents, witness: dict[str, Any]
) -> PackageWriter | FlatWriter:
    control = _control(row.kind, contents)
    if layout is not None:
        named = Named(row.lender, row.agency, row.kind, row.prepared_on, row.sequence)
        return FlatWriter(path, layout, named, contents.fields, control)
    stem = row.name.removesuffix(suffix_of(agency.suite)).removesuffix(".zip")
    manifest = {**witness, **_manifest(row, contents)}
    return PackageWriter(path, stem, KINDS[row.kind].table, contents.fields, manifest, control)


def _manifest(row: Row[Any], contents: Contents) -> dict[str, Any]:
    """What a package says of itself."""
    return {
        "kind": row.kind,
        "lender": row.lender,
        "agency": row.agency,
        "sequence": row.sequence,
        "created_on": row.prepared_on.isoformat(),
        "policy": contents.policy,
        "policy_version": contents.policy_version,
        **contents.manifest,
    }


def _without(contents: Contents, left_out: Sequence[str]) -> Contents:
    """The contents without the fields that the agency's layout leaves out: they do not leave, and nobody says so."""
    kept = [one for one in contents.disclosed if one.field not in left_out]
    return replace(contents, fields=[one for one in contents.fields if one.name not in left_out], disclosed=kept)


def _control(kind: str, contents: Contents) -> str | None:
    """The control field, where the policy lets it leave as an amount."""
    wanted = KINDS[kind].control
    return wanted if any(one.name == wanted and one.type == "amount" for one in contents.fields) else None
