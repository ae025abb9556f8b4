"""The sandbox's people: somebody for each role, one with all of them, an agency's clerk. Nobody has a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import insert

from infra.store import people as rows
from models.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk
    from models.roles import Role

STAFF: Final[Mapping[Role, str]] = {
    "portfolio_manager": "chen.yu",
    "compliance": "sun.li",
    "finance": "m.rossi",
    "operations": "j.okafor",
    "administrator": "t.berg",
}
SECOND: Final = "l.wang"
"""Has every role: the second person of whatever needs one."""
CLERK: Final = "q.clerk"


def hire(desk: Desk, agency: str) -> None:
    """They have accounts and roles; the clerk is of that agency."""
    held = [(actor, role) for role, actor in STAFF.items()] + [(SECOND, role) for role in ROLES]
    with desk.database.write() as connection:
        for actor, whose in [*((actor, None) for actor in (*STAFF.values(), SECOND)), (CLERK, agency)]:
            rows.add(
                connection, actor=actor, agency=whose, state="active", must_change=False, totp_confirmed=False,
                totp_step=0, language="", created_by=desk.actor, created_at=desk.now(),
            )  # fmt: skip
        connection.execute(
            insert(rows.HELD),
            [
                {"actor": actor, "role": role, "granted_by": desk.actor, "granted_at": desk.now()}
                for actor, role in held
            ],
        )
