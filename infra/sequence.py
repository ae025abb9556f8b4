"""What a file's number and the file that it names before it say: gaps, repeats, and chains that do not hold.

An agency counts its files of a kind to a lender without gaps; a file that was refused whole has used its number up.
In `previous` a file may name the SHA-256 of the sealed file before it (of its package, where the agency hashes that):
so that a file which was replaced, or made twice, shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, and_, or_, select

from infra import exceptions
from infra.store import bulk
from models.tables import InboundFile

if TYPE_CHECKING:
    from infra.wiring import Desk

FILES = bulk.table_of(InboundFile)
RANGES_SHOWN: Final = 20

GAP, LATE, BROKEN, UNCHECKED = "sequence_gap", "sequence_late", "chain_broken", "chain_unchecked"
"""A number is missing before it; it fills such a gap; another file came before it than it says; that file is not here,
so that nobody can tell."""


@dataclass(frozen=True)
class Line:
    """One kind of file from one agency to one lender: what its numbers count."""

    agency: str
    lender: str
    kind: str

    @property
    def subject(self) -> str:
        """What an exception about the whole line is about."""
        return f"sequence:{self.lender}.{self.agency}.{self.kind}"

    @property
    def _mine(self) -> Any:
        return and_(
            FILES.c.agency == self.agency,
            FILES.c.lender == self.lender,
            FILES.c.kind == self.kind,
            # a stranger can give a file any name: only what the agency has signed uses up a number
            or_(FILES.c.state == "accepted", FILES.c.signer.is_not(None)),
        )

    def last(self, connection: Connection, but: int) -> int:
        """The highest number that has come, but in that file; 0 for none."""
        newest = (
            select(FILES.c.sequence)
            .where(self._mine, FILES.c.file_id != but, FILES.c.state.in_(("accepted", "refused")))
            .order_by(FILES.c.sequence.desc())
            .limit(1)
        )
        return int(connection.execute(newest).scalar_one_or_none() or 0)

    def missing(self, connection: Connection) -> list[tuple[int, int]]:
        """The ranges of numbers below the highest that have not come, first to last, both included."""
        came = bulk.read(
            connection,
            select(FILES.c.sequence)
            .where(self._mine, FILES.c.state.in_(("accepted", "refused")))
            .distinct()
            .order_by(FILES.c.sequence),
        )["sequence"].to_numpy(dtype=np.int64)
        return ranges_missing(came)


def ranges_missing(came: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Which numbers from 1 up are missing among these, sorted ones, as ranges with both ends."""
    before = np.concatenate([np.zeros(1, dtype=np.int64), came[:-1]])
    at = np.flatnonzero(came - before > 1)
    return [(int(before[one]) + 1, int(came[one]) - 1) for one in at]


def findings(connection: Connection, line: Line, file_id: int, sequence: int) -> list[str]:
    """What somebody must look at in the number of this file and in what it says came before it, in codes."""
    last = line.last(connection, file_id)
    said = [GAP] if sequence > last + 1 else [LATE] if sequence < last else []
    chain = chained(connection, line, file_id, sequence)
    return said + ([chain] if chain else [])


def chained(connection: Connection, line: Line, file_id: int, sequence: int) -> str | None:
    """None where the file follows from the one before it, as far as it says; else the finding.

    A file that names none says nothing, and a first one has none before it. Where the file before is not here (a gap),
    nobody can tell yet: it is compared from the other side when it comes.
    """
    mine = connection.execute(select(FILES).where(FILES.c.file_id == file_id)).one()
    next_ = _hashes(connection, line, sequence + 1, FILES.c.previous_sha256)
    if next_ and not next_ & {mine.sealed_sha256, mine.package_sha256} and _is_gap(connection, line, sequence):
        return BROKEN  # what came after it named another file in its place
    if mine.previous_sha256 is None or sequence <= 1:
        return None
    before = _known_before(connection, line, sequence)
    if not before:
        return UNCHECKED
    return None if mine.previous_sha256 in before else BROKEN


def _known_before(connection: Connection, line: Line, sequence: int) -> set[str]:
    """The hashes that the file of this number may name; empty where none of the number before is here.

    Those of the file accepted under the number before, else of those refused there and of the last one accepted below.
    """
    columns = (FILES.c.sealed_sha256, FILES.c.package_sha256)
    here = and_(
        FILES.c.agency == line.agency,
        FILES.c.lender == line.lender,
        FILES.c.kind == line.kind,
        FILES.c.state.in_(("accepted", "refused")),
    )
    rows = connection.execute(select(*columns, FILES.c.state).where(here, FILES.c.sequence == sequence - 1)).all()
    accepted = [row for row in rows if row.state == "accepted"]
    if rows and not accepted:  # some take a refused file for one that was never sent
        below = (
            select(*columns, FILES.c.state)
            .where(here, FILES.c.state == "accepted", FILES.c.sequence < sequence - 1)
            .order_by(FILES.c.sequence.desc())
            .limit(1)
        )
        accepted = [*rows, *connection.execute(below)]
    return {digest for row in accepted for digest in (row.sealed_sha256, row.package_sha256) if digest}


def _hashes(connection: Connection, line: Line, sequence: int, column: Any) -> set[str]:
    found = connection.execute(
        select(column).where(
            FILES.c.agency == line.agency,
            FILES.c.lender == line.lender,
            FILES.c.kind == line.kind,
            FILES.c.sequence == sequence,
            FILES.c.state == "accepted",
            column.is_not(None),
        )
    )
    return set(found.scalars())


def _is_gap(connection: Connection, line: Line, sequence: int) -> bool:
    """Whether no other file of this number has come."""
    others = select(FILES.c.file_id).where(
        FILES.c.agency == line.agency,
        FILES.c.lender == line.lender,
        FILES.c.kind == line.kind,
        FILES.c.sequence == sequence,
        FILES.c.state.in_(("accepted", "refused")),
    )
    return connection.execute(others).first() is None


def watch(connection: Connection, desk: Desk, line: Line, file_id: int, finding: str | None) -> None:
    """What the file's number says is somebody's to look at; the gap that it fills is resolved."""
    said = (finding or "").split(";")
    if GAP in said or LATE in said:
        missing = line.missing(connection)
        if missing:
            exceptions.open_exception(
                connection,
                desk,
                GAP,
                agency=line.agency,
                lender=line.lender,
                kind=line.kind,
                subject=line.subject,
                detail={
                    "missing_count": sum(last - first + 1 for first, last in missing),
                    "missing_seq": [_range(*one) for one in missing[:RANGES_SHOWN]],
                },
            )
        else:
            exceptions.ended(connection, desk, GAP, line.subject, "the missing numbers have come")
    if BROKEN in said:
        exceptions.open_exception(
            connection,
            desk,
            BROKEN,
            agency=line.agency,
            lender=line.lender,
            kind=line.kind,
            subject=f"file:{file_id}",
            detail={"file_id": file_id},
        )


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
