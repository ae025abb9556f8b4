"""The gate: whatever leaves for an agency is looked at here, whole, before its first byte is written.

A package's frames are drawn once. Each is held against its release, its texts are read for identifiers, its lines are
counted by what they look like. Nothing of it is written until all of it was looked at: the frames wait, in memory where
they are few, else in the private scratch folder. What stops leaves no file behind; what passes is made so coarse that
the policy's limits hold. What reaches a drop is what passed, by the package's hash (`infra.outbox.deliver`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import select

from infra import audit, exceptions
from infra.packages import ACCOUNT_ID, IDENTITIES, Composing, Contents, opened_identities
from infra.store import bulk
from infra.store import gate as store
from infra.store.exchange import MEMBERS
from models.errors import RefusedByPolicy
from models.gate import conforming
from models.gate.columns import texts_of
from models.gate.matching import EVERYWHERE, Sought, on_own_line
from models.gate.risk import Tally
from models.gate.scanning import LINES_KEPT, VOCABULARY_LINES, Hit, Scan, together
from models.gate.shapes import Shape, shapes
from models.gate.verdict import Verdict, in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk
    from models.gate.risk import Decision
    from models.gate.scanning import Seen

SAID: Final = "manifest"
"""Where what stands beside the lines is told of."""


class GateStopped(RefusedByPolicy):
    """The package stays: something in it may not leave. The message names columns, kinds and lines, never a value."""

    def __init__(self, name: str, verdict: Verdict) -> None:
        told = "; ".join(in_words(hit) for hit in verdict.stopping)
        super().__init__(f"{name} stays: {told}", fix=f"`consign gate show {name}` says what can be done")
        self.name = name
        self.verdict = verdict


@dataclass(frozen=True)
class Passed:
    """A package that may be written: its contents as they leave, and what was found on the way."""

    contents: Contents
    verdict: Verdict


def through(work: Composing, contents: Contents, said: Mapping[str, Any], folder: Path, allowed: Allowed) -> Passed:
    """The contents, looked at whole; raises GateStopped where they hold what may not leave.

    said: what the file says besides its lines. folder: private, where frames may wait. allowed: false alarms that pass.
    """
    look = _Look(contents, _Waiting(folder, work.shard_rows), counted=work.row.kind == "placement")
    for frame in contents.frames:
        look.at(frame)
    look.scan.beside(SAID, [text for text in said.values() if isinstance(text, str)], Shape())
    hits = together([*look.hits, *look.scan.hits, *_about_debtors(work, contents, look)])
    hits = [allowed.applied(hit) for hit in hits]
    verdict = Verdict(look.waiting.rows, look.scan.cells, tuple(hits))
    if verdict.stopping:
        raise GateStopped(work.row.name, verdict)
    return _coarser(contents, look, verdict)


@dataclass(frozen=True)
class Allowed:
    """By column and kind of identifier, the false alarm that two people let pass."""

    by_place: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, connection: Connection, desk: Desk, row: Row[Any]) -> Allowed:
        """Those in force today for such a file."""
        return cls(store.in_force(connection, row.kind, row.agency, desk.today()))

    def applied(self, hit: Hit) -> Hit:
        """The hit, which stops nothing where it is a false alarm."""
        number = self.by_place.get((hit.column, hit.kind)) if hit.stops else None
        return hit if number is None else replace(hit, stops=False, allowance=number)


def record(
    connection: Connection, desk: Desk, row: Row[Any], verdict: Verdict, package_sha256: str | None = None
) -> None:
    """What the gate said is kept; with the hash of the package, that this one may leave."""
    store.record(connection, row.transmission_id, verdict, desk.actor, desk.now(), package_sha256)
    subject = f"transmission:{row.name}"
    if verdict.stopping:
        told: dict[str, audit.Value] = {
            "kind": row.kind,
            "columns": sorted({hit.column for hit in verdict.stopping}),
            "finding": sorted({hit.kind for hit in verdict.stopping}),
            "lines": sum(hit.count for hit in verdict.stopping),
        }
        audit.record(connection, desk.actor, "gate.stopped", row.name, told, desk.now())
        exceptions.open_exception(
            connection, desk, "gate_stopped", agency=row.agency, lender=row.lender, kind=row.kind, subject=subject,
            detail=told,
        )  # fmt: skip
    else:
        exceptions.ended(connection, desk, "gate_stopped", subject, "it passed")


# -- looking -----------------------------------------------------------------------------------------------------------


class _Look:
    """One package while it is looked at."""

    def __init__(self, contents: Contents, waiting: _Waiting, *, counted: bool) -> None:
        self.contents = contents
        self.waiting = waiting
        self.scan = Scan(shapes(contents.fields, contents.release))
        self.tally = Tally(contents.release) if counted and contents.release is not None else None
        self.hits: list[Hit] = []

    def at(self, frame: pd.DataFrame) -> None:
        """Look at a frame; it waits, unless its columns are not the release's: then nothing of it is touched."""
        first = self.waiting.rows + 1
        release, fields = self.contents.release, self.contents.fields
        wrong = conforming.columns(frame, fields, release)
        self.hits += wrong
        if any(hit.kind != conforming.NOT_RELEASED or hit.column in self.scan.shapes for hit in wrong):
            self.waiting.rows += len(frame)
            return
        self.hits += conforming.cells(frame, fields, release, first)
        self.scan.look(frame, first)
        if self.tally is not None:
            self.tally.count(frame)
        self.waiting.keep(frame)


class _Waiting:
    """Frames that were looked at and are not written yet: the first in memory, further ones in the folder."""

    def __init__(self, folder: Path, in_memory: int) -> None:
        self.folder = folder
        self.room = in_memory
        self.rows = 0
        self._kept: list[pd.DataFrame | Path] = []

    def keep(self, frame: pd.DataFrame) -> None:
        """The frame waits."""
        self.rows += len(frame)
        self.room -= len(frame)
        if self.room >= 0 or not self._kept:
            self._kept.append(frame)
            return
        path = self.folder / f"looked-at-{len(self._kept)}.arrow"
        table = pa.Table.from_pandas(frame, preserve_index=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        self._kept.append(path)

    def frames(self) -> Iterator[pd.DataFrame]:
        """They again, in order, as they came."""
        for one in self._kept:
            yield one if isinstance(one, pd.DataFrame) else self._back(one)

    def let_go(self) -> Iterator[pd.DataFrame]:
        """They for the last time: each is gone when the next is asked for."""
        while self._kept:
            one = self._kept.pop(0)
            yield one if isinstance(one, pd.DataFrame) else self._back(one)
            if not isinstance(one, pd.DataFrame):
                one.unlink()

    @staticmethod
    def _back(path: Path) -> pd.DataFrame:
        with pa.memory_map(str(path)) as file:
            found: pd.DataFrame = pa.ipc.open_file(file).read_all().to_pandas()
        return found


# -- who the debtors are -----------------------------------------------------------------------------------------------


def _about_debtors(work: Composing, contents: Contents, look: _Look) -> Iterator[Hit]:
    """Names, addresses, employers and numbers of the package's own debtors in texts that are to hold none.

    Identities are opened for it, those that do not leave whole, and only where there is a text to compare with them:
    one that is no code and stands on few lines, or a whole identity that is not of its column's shape.
    """
    texts = {
        column: rare
        for column, seen in look.scan.free.items()
        if (rare := {text: one for text, one in seen.items() if one.count < VOCABULARY_LINES})
    }
    own = [column for column, count in look.scan.unproved.items() if count]
    if not texts and not own:
        return
    whole = set() if contents.release is None else {
        name for name, how in contents.release.treatments.items() if how.how == "release"
    }  # fmt: skip
    fields = [name for name in EVERYWHERE if name not in whole]
    sought = Sought(list(dict.fromkeys(text for seen in texts.values() for text in seen)))
    first = 1
    for frame in look.waiting.frames():
        if frame.index.name == ACCOUNT_ID:
            identities = _identities(work, frame.index, fields)
            for field in fields:
                there = sought.holding(field, texts_of(identities[field].dropna()))
                yield from _named_anywhere(there, texts, field)
                yield from _named_on_own_line(frame, identities[field], field, texts, own, first)
        first += len(frame)


def _named_anywhere(there: set[str], texts: Mapping[str, Mapping[str, Seen]], field: str) -> Iterator[Hit]:
    for column, seen in texts.items():
        for text in there & seen.keys():
            yield Hit(column, f"{field}_of_debtor", "likely", seen[text].count, tuple(seen[text].lines))


def _named_on_own_line(
    frame: pd.DataFrame, identity: pd.Series, field: str, texts: Mapping[str, Mapping[str, Seen]], own: list[str],
    first: int,
) -> Iterator[Hit]:  # fmt: skip
    for column in (*texts, *own):
        cells = frame[column]
        looked_at = np.flatnonzero(cells.isin(texts[column]) if column in texts else cells.notna())
        looked_at = looked_at[identity.iloc[looked_at].notna().to_numpy()]
        if not len(looked_at):
            continue
        found = on_own_line(texts_of(cells.iloc[looked_at]), texts_of(identity.iloc[looked_at]), field)
        rows = looked_at[found]
        if len(rows):
            lines = tuple(int(row) + first for row in rows[:LINES_KEPT])
            yield Hit(column, f"{field}_of_debtor", "likely", len(rows), lines)


def _identities(work: Composing, ids: pd.Index, fields: list[str]) -> pd.DataFrame:
    """What the vault has of these accounts, in their order; an account that it does not know has no cells."""
    sealed = bulk.read(
        work.connection,
        select(IDENTITIES.c.account_id, IDENTITIES.c.data_key_id, *(IDENTITIES.c[name] for name in fields))
        .join(MEMBERS, MEMBERS.c.account_id == IDENTITIES.c.account_id)
        .where(
            MEMBERS.c.transmission_id == work.row.transmission_id,
            IDENTITIES.c.account_id.between(int(ids.min()), int(ids.max())),
        ),
    )
    return opened_identities(work, sealed, fields).set_index(ACCOUNT_ID)[fields].reindex(ids)


# -- what leaves -------------------------------------------------------------------------------------------------------


def _coarser(contents: Contents, look: _Look, verdict: Verdict) -> Passed:
    """The package as it leaves: coarser where the policy's limits ask for it, and saying so."""
    if look.tally is None:
        return Passed(replace(contents, frames=look.waiting.let_go()), verdict)
    tally = look.tally
    decision = tally.decide()
    left = replace(
        contents,
        fields=[_as_text(one) if one.name in tally.became_text else one for one in contents.fields],
        frames=(tally.coarser(frame) for frame in look.waiting.let_go()),
        disclosed=[
            replace(one, treatment=decision.levels[one.field]) if one.field in decision.levels else one
            for one in contents.disclosed
        ],
        manifest={**contents.manifest, **_told(decision)},
    )
    return Passed(left, replace(verdict, decision=decision))


def _as_text(field: Any) -> Any:
    return replace(field, type="string") if field.type == "date" else field


def _told(decision: Decision) -> dict[str, Any]:
    """What the manifest says of it: which columns are coarser than the policy's treatment, and how."""
    return {"coarser": decision.levels} if decision.levels else {}
