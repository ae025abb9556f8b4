"""An agency's own part of the API: files, statements, erasures; every query is bounded by the caller's agency."""

from __future__ import annotations

import json
from typing import Any, Literal

from fastapi import APIRouter

from console.web.api.door import PROBLEMS, Calling, needs, there
from console.web.api.shapes import Listed, Number, Word, of_table
from infra.store import agreements, assurance, portal, traffic
from models.tables import Agency, Erasure, InboundFile, InboundReject, InstalmentPlan, Statement, Transmission

router = APIRouter(prefix="/own", responses=PROBLEMS)

AgencyShape = of_table(
    "OwnAgency", Agency,
    only={"agency", "name", "state", "suite", "channels", "layout", "capacity_accounts", "term_days", "remits"},
)  # fmt: skip
CameShape = of_table("OwnFile", InboundFile, only=set(traffic.CAME_COLUMNS))
SentShape = of_table("OwnReceivedFile", Transmission, only=set(traffic.SENT_COLUMNS))
RejectShape = of_table("OwnRefusedLine", InboundReject, only={"table_name", "line", "column", "code", "fix"})
StatementShape = of_table("OwnStatement", Statement, but={"csv_path", "xlsx_path", "pdf_path"})
InstalmentShape = of_table("OwnInstalmentPlan", InstalmentPlan, only=set(agreements.OF_AGENCY))
ErasureShape = of_table("OwnErasure", Erasure, but={"transmission_id", "certificate_file_id"}, lender=(str, ...))


@router.get("", dependencies=[needs("portal.see")])
def get_own_agency(call: Calling) -> AgencyShape:  # type: ignore[valid-type]
    """The agency."""
    with call.desk.database.read() as connection:
        return portal.row(connection, call.agency)


@router.get("/files", dependencies=[needs("portal.see")])
def list_own_files(call: Calling, kind: Word = "", state: Word = "", after: Word = "") -> Listed[CameShape]:  # type: ignore[valid-type]
    """Files that the agency sent, the newest first."""
    with call.desk.database.read() as connection:
        page = traffic.came(connection, call.agency, kind, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/files/{file_id}", dependencies=[needs("portal.see")])
def get_own_file(call: Calling, file_id: Number) -> CameShape:  # type: ignore[valid-type]
    """One of them."""
    with call.desk.database.read() as connection:
        found: dict[str, Any] = there(portal.came(connection, call.agency, file_id))
    return CameShape.model_validate(found | {"sums": json.dumps(found["sums"])})


@router.get("/files/{file_id}/refused-lines", dependencies=[needs("portal.see")])
def list_own_refused_lines(call: Calling, file_id: Number) -> Listed[RejectShape]:  # type: ignore[valid-type]
    """Why lines of it were refused; never the value."""
    with call.desk.database.read() as connection:
        there(portal.came(connection, call.agency, file_id))
        return Listed(items=list(portal.refusals(connection, call.agency, file_id)))


@router.get("/received", dependencies=[needs("portal.see")])
def list_files_for_own(call: Calling, kind: Word = "", state: Word = "", after: Word = "") -> Listed[SentShape]:  # type: ignore[valid-type]
    """Files that were sent to the agency, the newest first."""
    with call.desk.database.read() as connection:
        page = traffic.sent(connection, call.agency, kind, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/statements", dependencies=[needs("portal.see")])
def list_own_statements(call: Calling) -> Listed[StatementShape]:  # type: ignore[valid-type]
    """Its statements, the newest first."""
    with call.desk.database.read() as connection:
        return Listed(items=list(portal.statements(connection, call.agency)))


@router.get("/instalments", dependencies=[needs("portal.see")])
def list_own_instalment_plans(
    call: Calling,
    state: Literal["", "proposed", "awaiting_second", "approved", "refused", "fulfilled", "broken", "ended"] = "",
    after: Word = "",
) -> Listed[InstalmentShape]:  # type: ignore[valid-type]
    """Instalment plans that it proposed, the newest first, and what it was answered."""
    with call.desk.database.read() as connection:
        page = agreements.of_agency(connection, call.agency, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/erasures", dependencies=[needs("portal.see")])
def list_own_erasures(
    call: Calling,
    state: Literal["overdue", "unsatisfied", "requested", "certified_late", "certified"] = "requested",
    after: Word = "",
) -> Listed[ErasureShape]:  # type: ignore[valid-type]
    """What it must delete and certify, those due first in front."""
    with call.desk.database.read() as connection:
        page = assurance.erasures(connection, call.desk.today(), state, agency=call.agency, after=after or None)
    return Listed(items=page.rows, next=page.after)
