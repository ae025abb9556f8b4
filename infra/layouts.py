"""Which layout an agency's plain files are in: found by name, kept by version, agreed agency by agency."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.layouts.flat import example_amount, example_day, example_instant, example_month
from connectors.layouts.naming import Named, write_name
from connectors.layouts.profiles import Layout, load_layout, shipped_layouts, spelled
from connectors.profiles import near
from infra import audit
from infra.store import exchange
from infra.store import layouts as store
from models.kinds import KINDS

if TYPE_CHECKING:
    from infra.wiring import Desk


def find(desk: Desk, spec: str) -> Layout:
    """The profile: of a file (`….toml`), kept in the store, or shipped; the newest where no version is named.

    Raises LayoutUnknown, LayoutInvalid.
    """
    if spec.endswith(".toml"):
        return load_layout(spec)
    name, version = spelled(spec)
    own, known = None, set(shipped_layouts())
    if _has_store(desk):
        with desk.database.read() as connection:
            own = store.find(connection, name, version)
            known |= set(store.kept(connection)["name"])
    if own is not None and (version is not None or name not in shipped_layouts()):
        return own
    if name in shipped_layouts():
        shipped = load_layout(name)
        if version in {None, shipped.version}:
            return own if own is not None and own.version > shipped.version else shipped
    if own is not None:
        return own
    raise LayoutUnknown(f"there is no layout {spec!r}{near(name, known)}", fix="`consign layout list` names them all")


def _has_store(desk: Desk) -> bool:
    """Whether there is a store to ask: the shipped layouts can be looked at without one."""
    return not desk.database.is_sqlite or Path(desk.database.url.database or "").is_file()


def of_agency(desk: Desk, code: str) -> Layout | None:
    """The layout of the agency's plain files; None where it exchanges packages. Raises UsageError for no agency."""
    with desk.database.read() as connection:
        return store.recorded(connection, exchange.agency(connection, code).layout)


def known(desk: Desk) -> list[dict[str, Any]]:
    """Every layout, shipped or kept: reference, what it is, how many kinds, which agencies use it."""
    kept: list[Layout | None] = []
    users: dict[str, list[str]] = {}
    if _has_store(desk):
        with desk.database.read() as connection:
            rows, users = store.kept(connection), store.users(connection)
            kept = [store.recorded(connection, f"#{sha256}") for sha256 in rows["sha256"]]
    found = {layout.recorded: (layout, "kept") for layout in kept if layout is not None}
    found = {(one := load_layout(name)).recorded: (one, "shipped") for name in shipped_layouts()} | {
        reference: (layout, "shipped and kept" if layout.name in shipped_layouts() else origin)
        for reference, (layout, origin) in found.items()
    }
    return [
        {
            "layout": layout.reference, "origin": origin, "format": layout.file.format, "kinds": len(layout.kinds),
            "agencies": ", ".join(users.get(reference, [])), "about": layout.about, "sha256": layout.sha256[:12],
        }
        for reference, (layout, origin) in sorted(found.items())
    ]  # fmt: skip


def add(desk: Desk, layout: Layout, *, dry_run: bool = False) -> bool:
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
        if dry_run:
            return known is None
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


def told(layout: Layout) -> dict[str, Any]:
    """How the layout's files look, in a person's words; `kinds` is a row for each."""
    file = layout.file
    form: dict[str, Any] = {"layout": layout.reference, "sha256": layout.sha256, "about": layout.about}
    form |= {"format": file.format}
    if file.format != "xlsx":
        form |= {"encoding": file.encoding, "line_ending": file.line_ending}
    if file.format == "delimited":
        form |= {"delimiter": file.delimiter, "quote": file.quote or "none"}
    if file.format == "fixed":
        form |= {"positions": file.positions}
    if file.format == "xlsx":
        form |= {"number_cells": file.number_cells}
    form |= {
        "amounts": example_amount(layout), "days": example_day(layout), "months": example_month(layout),
        "times": f"{example_instant(layout)} ({layout.timezone})",
    }  # fmt: skip
    return {**form, "kinds": [_kind_told(layout, kind) for kind in layout.kinds]}


def _kind_told(layout: Layout, kind: str) -> dict[str, Any]:
    form = layout.kinds[kind]
    lender = "harbour" if form.pattern is None or form.pattern.speaks_of("harbour") else None
    lender = lender or form.pattern.lender or next(iter(form.pattern.lenders.values())) if form.pattern else "harbour"
    name = write_name(Named(str(lender), "quayside", kind, date(2026, 1, 3), 1), layout, ".age")
    trailer = " ".join(form.trailer_record.cells) if form.trailer_record else ""
    return {
        "kind": kind, "to": "agency" if KINDS[kind].to_agency else "lender", "name": name,
        "columns": len(form.order), "trailer": trailer,
    }  # fmt: skip


def columns_told(layout: Layout, kind: str) -> list[dict[str, Any]]:
    """The columns of one kind's files, as they follow each other: what each is of ours, and how it is written."""
    form = layout.kinds[kind]
    of = {name: column for column in form.columns.values() for name in column.columns}
    rows = []
    for name in form.order:
        column, place = of.get(name), form.positions.get(name)
        field = None if column is None else KINDS[kind].field(column.field)
        words = "" if column is None or not column.map else ", ".join(f"{a}={b}" for a, b in column.map.items())
        if column is not None and column.sign is not None:
            words = f"{column.sign.negative} below zero, {column.sign.positive} above"
        rows.append({
            "column": name, "field": "" if column is None else column.field,
            "type": "" if field is None else field.type,
            "required": field is not None and field.required,
            **({"start": place.start, "length": place.length} if place else {}),
            "words": form.constants.get(name, words), "about": "" if field is None else field.about,
        })  # fmt: skip
    rows += [
        {
            "column": "",
            "field": column.field,
            "type": "",
            "required": True,
            "words": f"always {column.constant}",
            "about": "",
        }
        for column in form.columns.values()
        if column.constant is not None
    ]
    return rows
