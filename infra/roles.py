"""Who may do what only some may: roles are given by administrators, and asked for where a second person decides.

Roles count from the first administrator on, whom `consign init` makes; a store that nobody initialised (a sandbox's, a
demo's) has none and asks for none. Nobody gives a role to his own name, and the last administrator stays. Where the
setting `roles` is off nothing is refused, but what would have been is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select

from infra import audit
from infra.store import bulk, trail
from models.errors import RefusedByPolicy, UsageError
from models.roles import ROLES
from models.tables import ActorRole

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.wiring import Desk
    from models.roles import Role

HELD: Final = bulk.table_of(ActorRole)
LONGEST_NAME: Final = 64


class RoleMissing(RefusedByPolicy):
    """Whoever acts has not the role that the act needs."""


def require(connection: Connection, desk: Desk, role: Role) -> None:
    """Whoever sits at the desk has the role; raises RoleMissing where he has not, and roles are in force.

    Asked for in the transaction of the act itself: an act that is refused did not happen, and one that a switched-off
    setting let pass is on record with it.
    """
    if (refused := refusal(connection, desk, role)) is not None:
        raise refused


def refusal(connection: Connection, desk: Desk, role: Role) -> RoleMissing | None:
    """What `require` would raise, for an act whose refusal is itself kept; None where the act may go on."""
    if has(connection, desk.actor, role) or not begun(connection):
        return None
    if desk.settings.roles == "on":
        return RoleMissing(
            f"{desk.actor} has not the role {role}",
            fix=f"let somebody with it do this; an administrator gives it: `consign role grant {desk.actor} {role}`",
        )
    if connection.get_execution_options().get("consign_write"):  # what only reads keeps nothing
        _record(connection, desk, "role.not_asked_for", desk.actor, role)
    return None


def has(connection: Connection, actor: str, role: Role) -> bool:
    """Whether the person has the role."""
    row = select(HELD.c.actor).where(HELD.c.actor == actor, HELD.c.role == role)
    return connection.execute(row).first() is not None


def begun(connection: Connection) -> bool:
    """Whether there is an administrator: from then on roles count."""
    return _administrators(connection) > 0


def first_administrator(desk: Desk) -> bool:
    """There is an administrator: whoever sits at the desk, where there was none. Returns whether that changed."""
    with desk.database.write() as connection:
        trail.hold(connection)
        if begun(connection):
            return False
        _give(connection, desk, desk.actor, "administrator")
    return True


def grant(desk: Desk, actor: str, role: str) -> bool:
    """The person has the role. Returns whether that is new.

    Raises RoleMissing for who is no administrator, RefusedByPolicy for oneself, UsageError for an unknown role, a name
    that nobody could log in with, and a store without any administrator.
    """
    wanted = _role(role)
    named(actor)
    with desk.database.write() as connection:
        trail.hold(connection)
        if not begun(connection):
            raise UsageError("nobody is administrator yet", fix="`consign init` makes whoever runs it the first one")
        require(connection, desk, "administrator")
        if has(connection, actor, wanted):
            return False
        if actor == desk.actor:
            raise RefusedByPolicy(
                f"{actor} cannot give a role to {actor}",
                fix="let another administrator give it; make one if there is none",
            )
        _give(connection, desk, actor, wanted)
    return True


def named(actor: str) -> str:
    """The name, where somebody could act under it. Raises UsageError."""
    if not actor or len(actor) > LONGEST_NAME or not actor.isprintable() or any(map(str.isspace, actor)):
        raise UsageError(
            "that is no name to act under",
            fix=f"one word, up to {LONGEST_NAME} letters: the login name, as the machine has it",
        )
    return actor


def revoke(desk: Desk, actor: str, role: str) -> None:
    """The person has not the role any more.

    Raises RoleMissing for who is no administrator, UsageError for a role that the person has not, RefusedByPolicy for
    the last administrator: nobody could ever give a role again.
    """
    unwanted = _role(role)
    with desk.database.write() as connection:
        trail.hold(connection)
        require(connection, desk, "administrator")
        if not has(connection, actor, unwanted):
            raise UsageError(f"{actor} has not the role {unwanted}", fix="`consign role list` lists who has which")
        if unwanted == "administrator" and _administrators(connection) == 1:
            raise RefusedByPolicy(f"{actor} is the last administrator", fix="make another one first")
        connection.execute(delete(HELD).where(HELD.c.actor == actor, HELD.c.role == unwanted))
        _record(connection, desk, "role.revoked", actor, unwanted)


def listed(desk: Desk) -> list[dict[str, Any]]:
    """Who has which role since when, and from whom; by role, then by name."""
    with desk.database.read() as connection:
        rows = connection.execute(select(HELD).order_by(HELD.c.actor)).all()
    found = [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
    return sorted(found, key=lambda row: ROLES.index(row["role"]))


def _administrators(connection: Connection) -> int:
    count = select(func.count()).select_from(HELD).where(HELD.c.role == "administrator")
    return int(connection.execute(count).scalar_one())


def _give(connection: Connection, desk: Desk, actor: str, role: Role) -> None:
    connection.execute(insert(HELD).values(actor=actor, role=role, granted_by=desk.actor, granted_at=desk.now()))
    _record(connection, desk, "role.granted", actor, role)


def _record(connection: Connection, desk: Desk, action: str, actor: str, role: Role) -> None:
    audit.record(connection, desk.actor, action, f"actor:{actor}", {"role": role}, desk.now())


def _role(name: str) -> Role:
    for role in ROLES:
        if role == name:
            return role
    raise UsageError(f"there is no role {name!r}", fix=f"there are {', '.join(ROLES)}")
