"""Which layout an agency's plain files are in: found by name, kept by version, agreed agency by agency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.layouts.profiles import Layout, load_layout, shipped_layouts, spelled
from connectors.profiles import near
from infra import audit
from infra.store import exchange
from infra.store import layouts as store

if TYPE_CHECKING:
    from infra.wiring import Desk


def find(desk: Desk, spec: str) -> Layout:
    """The profile: of a file (`….toml`), kept in the store, or shipped; the newest where no version is named.

    Raises LayoutUnknown, LayoutInvalid.
    """
    if spec.endswith(".toml"):
        return load_layout(spec)
    name, version = spelled(spec)
    with desk.database.read() as connection:
        own = store.find(connection, name, version)
        known = {*shipped_layouts(), *store.kept(connection)["name"]}
    if own is not None and (version is not None or name not in shipped_layouts()):
        return own
    if name in shipped_layouts():
        shipped = load_layout(name)
        if version in {None, shipped.version}:
            return own if own is not None and own.version > shipped.version else shipped
    if own is not None:
        return own
    raise LayoutUnknown(f"there is no layout {spec!r}{near(name, known)}", fix="`consign layout list` names them all")


def add(desk: Desk, layout: Layout) -> bool:
    """The profile is kept under its version; True where it is new. Raises LayoutInvalid where that is another's."""
    with desk.database.write() as connection:
        known = store.find(connection, layout.name, layout.version)
        shipped = layout.name in shipped_layouts() and load_layout(layout.name)
        for other in filter(None, (known, shipped if shipped and shipped.version == layout.version else None)):
            if other.sha256 != layout.sha256:
                raise LayoutInvalid(
                    f"there is another {layout.reference} already",
                    fix="raise `version`: what was agreed stays as it is",
                )
        new = store.keep(connection, layout, desk.actor, desk.now())
        if new:
            details = {"version": str(layout.version), "sha256": layout.sha256}
            audit.record(connection, desk.actor, "layout.added", f"layout:{layout.name}", details, desk.now())
    return new


def agree(desk: Desk, code: str, spec: str) -> str:
    """The agency's files are in that layout from now on, or packages again; what was prepared keeps its own.

    Returns `name@version#sha256`, or `package`. Raises LayoutUnknown, LayoutInvalid, UsageError.
    """
    layout = None if spec == store.PACKAGE else find(desk, spec)
    if layout is not None:
        add(desk, layout)
    chosen = store.PACKAGE if layout is None else layout.recorded
    with desk.database.write() as connection:
        row = exchange.agency(connection, code)
        if row.layout == chosen:
            return chosen
        connection.execute(update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code).values(layout=chosen))
        details = {"layout": chosen.partition("#")[0], "sha256": "" if layout is None else layout.sha256}
        audit.record(connection, desk.actor, "agency.layout", code, details, desk.now())
    return chosen
