"""Due diligence about agencies: evidence by hash or reference, what is missing, and a word in good time."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select

from infra import audit, exceptions, roles, rulepacks
from infra.exceptions import PERSONAL, Subject
from infra.store import bulk, conduct, exchange
from infra.store.gates import DILIGENCE
from models.conduct.diligence import WANTING, Due, Evidence, due
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    import pandas as pd
    from sqlalchemy import Connection

    from infra.wiring import Desk
    from models.conduct.packs import Pack

WARN_DAYS: Final = 30
ASKED_OF: Final = ("certified", "live", "suspended")
"""States of an agency in which evidence must be there."""
REFERENCE: Final = re.compile(r"[\x20-\x7e]{0,120}")
LARGEST: Final = 64 << 20


@dataclass(frozen=True)
class Added:
    """A piece of evidence on record."""

    diligence_id: int | None
    agency: str
    kind: str
    sha256: str | None
    stored_path: str | None
    valid_from: date
    valid_until: date | None


def add(  # noqa: PLR0913 - a piece of evidence's columns
    desk: Desk,
    agency: str,
    kind: str,
    *,
    kinds: Iterable[str],
    valid_from: date,
    valid_until: date | None = None,
    document: Path | None = None,
    reference: str = "",
    dry_run: bool = False,
) -> Added:
    """The evidence is on record: a copy of the document below home/diligence with its hash, or a reference.

    It opens a gate that was closed for want of it. Raises RoleMissing, UsageError for an unknown kind or agency, for
    dates that contradict, and where there is neither.
    """
    allowed = sorted(set(kinds))
    if kind not in allowed:
        raise UsageError(f"{kind!r} is no kind of evidence that a pack asks for", fix=f"use {', '.join(allowed)}")
    if document is None and not reference.strip():
        raise UsageError("evidence is a document or a reference", fix="give --document FILE or --reference TEXT")
    if not REFERENCE.fullmatch(reference) or PERSONAL.search(reference):
        raise UsageError(
            "a reference is up to 120 ASCII characters, without a number as long as a phone's",
            fix="name the register and the date; the number stands in the document",
        )
    if valid_until is not None and valid_until < valid_from:
        raise UsageError(f"{valid_until} lies before {valid_from}", fix="check --from and --until")
    if dry_run:
        with desk.database.read() as connection:
            exchange.agency(connection, agency)
        return Added(None, agency, kind, None, None, valid_from, valid_until)
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        return put(
            connection, desk, agency, kind, valid_from=valid_from, valid_until=valid_until, document=document,
            reference=reference,
        )  # fmt: skip


def put(
    connection: Connection,
    desk: Desk,
    agency: str,
    kind: str,
    *,
    valid_from: date,
    valid_until: date | None = None,
    document: Path | None = None,
    reference: str = "",
) -> Added:
    """The evidence is on record, in the caller's transaction, who has asked for the role that it needs."""
    exchange.agency(connection, agency)
    digest, stored = _stored(desk, agency, kind, document) if document is not None else (None, None)
    number = connection.execute(
        insert(DILIGENCE)
        .values(
            agency=agency, kind=kind, reference=reference.strip(), sha256=digest, stored_path=stored,
            valid_from=valid_from, valid_until=valid_until, added_by=desk.actor, added_at=desk.now(),
        )
        .returning(DILIGENCE.c.diligence_id)
    ).scalar_one()  # fmt: skip
    audit.record(
        connection, desk.actor, "diligence.added", agency,
        {"kind": kind, "sha256": digest, "from": valid_from.isoformat(),
         "until": valid_until.isoformat() if valid_until else None},
        desk.now(),
    )  # fmt: skip
    return Added(int(number), agency, kind, digest, stored, valid_from, valid_until)


def _stored(desk: Desk, agency: str, kind: str, document: Path) -> tuple[str, str]:
    """The document's SHA-256, and where its copy lies below home; the same bytes are kept once."""
    try:
        size = document.stat().st_size
        if size > LARGEST:
            raise UsageError(f"{document} has {size} bytes, more than {LARGEST}", fix="keep it elsewhere: --reference")
        content = document.read_bytes()
    except OSError as broken:
        raise UsageError(f"{document} cannot be read: {type(broken).__name__}", fix="name a file") from None
    digest = hashlib.sha256(content).hexdigest()
    suffix = document.suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", document.suffix) else ""
    folder = desk.folder("diligence") / agency
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{kind}-{digest[:16]}{suffix}"
    if not path.exists():
        part = path.with_name(f".{path.name}.part")
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    return digest, str(path.relative_to(desk.settings.home))


def listed(connection: Connection, agency: str | None = None) -> pd.DataFrame:
    """Evidence on record, by agency and kind, the newest first."""
    statement = select(DILIGENCE).order_by(
        DILIGENCE.c.agency, DILIGENCE.c.kind, DILIGENCE.c.valid_from.desc(), DILIGENCE.c.diligence_id.desc()
    )
    if agency is not None:
        statement = statement.where(DILIGENCE.c.agency == agency)
    return bulk.read(connection, statement)


def standing(
    connection: Connection, pack: Pack, today: date, warn_days: int = WARN_DAYS, agency: str | None = None
) -> dict[str, list[Due]]:
    """Per agency that must have evidence: each need of the pack as it stands."""
    agencies = exchange.AGENCIES
    wanted = select(agencies.c.agency).where(agencies.c.state.in_(ASKED_OF)).order_by(agencies.c.agency)
    if agency is not None:
        exchange.agency(connection, agency)
        wanted = select(agencies.c.agency).where(agencies.c.agency == agency)
    rows = connection.execute(
        select(DILIGENCE.c.agency, DILIGENCE.c.kind, DILIGENCE.c.valid_from, DILIGENCE.c.valid_until).where(
            DILIGENCE.c.withdrawn_at.is_(None)
        )
    ).all()
    there: dict[str, list[Evidence]] = {}
    for row in rows:
        there.setdefault(row.agency, []).append(Evidence(row.kind, row.valid_from, row.valid_until))
    return {
        code: due(pack.needs, there.get(code, []), today, warn_days) for code in connection.execute(wanted).scalars()
    }


def kinds() -> set[str]:
    """Every kind of evidence that a rule pack asks for."""
    return {need.kind for name in rulepacks.names() for need in rulepacks.find(name).needs}


def wanted(desk: Desk, days: int, agency: str | None = None) -> list[dict[str, Any]]:
    """How the agencies stand with each need of the packs that the lenders go by, one row each: agency, pack, and Due's.

    days: what ends within so many is `expiring`.
    """
    with desk.database.read() as connection:
        packs = {pack.name: pack for one in conduct.lenders(connection) for pack in rulepacks.of(one)}
        packs = packs or {rulepacks.DEFAULT: rulepacks.find(rulepacks.DEFAULT)}
        return [
            {"agency": code, "pack": pack.name, **vars(one)}
            for pack in packs.values()
            for code, needs in standing(connection, pack, desk.today(), days, agency).items()
            for one in needs
        ]


def document(desk: Desk, agency: str, diligence_id: int) -> tuple[str, bytes]:
    """The name and the bytes of a document on record about the agency.

    Raises UsageError where there is none, or where it is another now.
    """
    with desk.database.read() as connection:
        row = connection.execute(
            select(DILIGENCE).where(DILIGENCE.c.diligence_id == diligence_id, DILIGENCE.c.agency == agency)
        ).one_or_none()
    if row is None or row.stored_path is None:
        raise UsageError(f"evidence {diligence_id} has no document", fix="its reference says where it is")
    path = desk.settings.home / row.stored_path
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != row.sha256:
        message = f"the document of evidence {diligence_id} is not there as it was put on record"
        raise UsageError(message, fix="add it anew")
    return path.name, content


def missing(connection: Connection, desk: Desk, pack: Pack, today: date) -> dict[str, list[str]]:
    """Per agency that must have evidence: the kinds that are missing or have expired; none where it is not required."""
    found = standing(connection, pack, today)
    asked = desk.settings.require_diligence
    return {
        agency: [one.kind for one in needs if asked and one.state in WANTING] for agency, needs in found.items()
    }  # fmt: skip


def watch(connection: Connection, desk: Desk, packs: Iterable[Pack], today: date) -> int:
    """Exceptions are open for evidence that is missing or ends soon, one per agency and kind. Returns how many."""
    if not desk.settings.require_diligence:
        return 0
    wanting = {
        f"diligence:{agency}:{one.kind}": Subject(
            f"diligence:{agency}:{one.kind}", agency, kind=one.kind,
            detail={"state": one.state, "until": one.until.isoformat() if one.until else None},
        )
        for pack in packs
        for agency, needs in standing(connection, pack, today).items()
        for one in needs
        if one.state in (*WANTING, "expiring")
    }  # fmt: skip
    exceptions.watched(connection, desk, "diligence_due", list(wanting.values()), "the evidence is there")
    return len(wanting)
