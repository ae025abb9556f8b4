"""Which release policy is in force: those that come with Consign, and an operator's own, approved by a second person.

Every version that was ever in force is kept, with who proposed and who approved it, and the audit trail holds the hash
of its text: a version whose text is another one than was approved lets nothing leave. A policy that stands over another
one for some agencies is in force with it; plans name both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra import audit, roles
from infra.store import policies as store
from infra.store import trail
from models import packaged, release
from models.errors import RefusedByPolicy, UsageError
from models.lives import POLICY, moved
from models.release import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

AT: Final = "@"
"""Between a policy's name and a version: `ours@2`."""


class NotInForce(RefusedByPolicy):
    """The policy has no version in force: nobody approved one, or it was withdrawn. Nothing leaves under it."""


class PolicyAltered(RefusedByPolicy):
    """The text that is kept is not the one that was approved, or that came with Consign. Nothing leaves under it."""


# --- which counts -----------------------------------------------------------------------------------------------------


def names(connection: Connection) -> list[str]:
    """Every policy that comes with Consign, and every other one that is in force."""
    return sorted({*release.shipped(), *store.names(connection)})


def find(connection: Connection, name: str) -> Policy:
    """The policy as it is in force, with those that stand over it for some agencies.

    Raises UsageError where there is none of that name, NotInForce, PolicyAltered.
    """
    return _in_force(connection, name).under(read(connection, row) for row in store.standing_over(connection, name))


def version(connection: Connection, reference: str) -> Policy:
    """The version `name@number` alone, whatever became of it; without a number the policy as it is in force."""
    name, at, number = reference.partition(AT)
    if not at:
        return find(connection, name)
    return _kept(connection, name, number)[0]


def named(connection: Connection, name: str) -> Policy:
    """What a person means: a policy in force, one `name@number`, or a file that somebody is still writing."""
    return from_file(Path(name))[1] if name.endswith(".toml") else version(connection, name)


def as_approved(connection: Connection, name: str, whole: str, sha256: str) -> Policy:
    """The policy as a plan names it, also where another version is in force by now.

    whole: the plan's `policy_version`: `2`, or `2+acme-only@1` with what stood over it.
    Raises NotInForce where a part of it was withdrawn, PolicyAltered where the texts are not those of that hash.
    """
    number, *over = whole.split("+")
    kept = [_kept(connection, name, number), *(_kept(connection, *one.split(AT, 1)) for one in over)]
    for _, row in kept:
        if row is not None and row.state not in {"in_force", "superseded"}:
            raise _not_in_force(row)
    (base, _), *overlays = kept
    policy = base.under(one for one, _ in overlays)
    if policy.sha256 != sha256:
        raise PolicyAltered(f"release policy {name} {whole} is not what was approved", fix="make the plan again")
    return policy


def in_place(connection: Connection, overlay: Policy) -> Policy:
    """The policy that this one stands over, as it would be if this one were in force too.

    Raises PolicyInvalid where another one stands over it for one of the same agencies.
    """
    others = [row for row in store.standing_over(connection, overlay.over) if row.name != overlay.name]
    return _in_force(connection, overlay.over).under([overlay, *(read(connection, row) for row in others)])


def read(connection: Connection, row: Row[Any]) -> Policy:
    """The version's policy, once its text is the one that the audit trail knows. Raises PolicyAltered."""
    shipped = row.origin == "shipped"
    action = f"policy.{'shipped' if shipped else 'proposed' if row.approved_at is None else 'approved'}"
    event = trail.event(connection, row.audit_seq)
    known = (
        event is not None
        and (event.action, event.subject) == (action, _subject(row.name, row.version))
        and json.loads(event.details)["sha256"]
    )
    if known != row.sha256 or hashlib.sha256(row.toml.encode()).hexdigest() != row.sha256:
        raise PolicyAltered(
            f"the text of release policy {row.name} {row.version} is not the one that was {action[7:]}",
            fix="somebody changed the store: `consign audit verify`; then propose it under a new version",
        )
    return Policy.parse(row.toml)


def _in_force(connection: Connection, name: str) -> Policy:
    if name in release.shipped():
        policy = release.load(name)
        row = store.version(connection, name, policy.version)
        if row is not None and row.state == "withdrawn":
            raise _not_in_force(row)
        if row is not None and read(connection, row).sha256 != policy.sha256:
            raise PolicyAltered(
                f"release policy {name} {policy.version} comes with Consign, and was another one before",
                fix="install the Consign that you had, or one whose policy has a new version",
            )
        return policy
    row = store.in_force(connection, name)
    if row is not None:
        return read(connection, row)
    if known := store.versions(connection, name):
        raise _not_in_force(known[0])
    raise UsageError(
        f"there is no policy {name!r}",
        fix=f"there are {', '.join(names(connection))}; `consign policy propose FILE` puts another one up for approval",
    )


def _kept(connection: Connection, name: str, number: str) -> tuple[Policy, Row[Any] | None]:
    """The version and its row; without one where it comes with Consign and nobody has used it yet."""
    row = store.version(connection, name, number)
    if row is not None:
        return read(connection, row), row
    if name in release.shipped() and (policy := release.load(name)).version == number:
        return policy, None
    raise UsageError(
        f"there is no version {number!r} of policy {name}", fix=f"`consign policy history {name}` lists them"
    )


def _not_in_force(row: Row[Any]) -> NotInForce:
    if row.state == "proposed":
        fix = f"let a second person look at it: `consign policy approve {row.name}{AT}{row.version}`"
        return NotInForce(f"release policy {row.name} {row.version} was proposed, and nobody has approved it", fix=fix)
    return NotInForce(
        f"release policy {row.name} {row.version} was withdrawn: {row.reason}",
        fix="propose a new version, have it approved, and make the plan again",
    )


def _row(connection: Connection, reference: str) -> Row[Any]:
    """The row of `name@number`. Raises UsageError where no version is named, or nobody knows it."""
    name, at, number = reference.partition(AT)
    if not at or not number:
        raise UsageError(f"{reference} names no version", fix=f"say which: `{name}{AT}2`")
    row = store.version(connection, name, number)
    if row is None:
        raise UsageError(
            f"there is no version {number!r} of policy {name}", fix=f"`consign policy history {name}` lists them"
        )
    return row


# --- what people do ---------------------------------------------------------------------------------------------------


def keep(connection: Connection, desk: Desk, name: str) -> None:
    """The version of the policy that comes with Consign is on record, and counts from now; one before it no more.

    Nothing changes for a policy of one's own, and for a version that is on record.
    """
    if name not in release.shipped():
        return
    policy, text = release.load(name), packaged.text("models", "policies", name)
    if store.version(connection, name, policy.version) is not None:
        return
    trail.hold(connection)
    if store.version(connection, name, policy.version) is not None:
        return  # somebody else was faster
    now = desk.now()
    _supersede(connection, desk, name)
    store.add(
        connection, name=name, version=policy.version, state="in_force", origin="shipped", toml=text,
        sha256=policy.sha256, proposed_at=now, in_force_from=now,
        audit_seq=_record(connection, desk, "shipped", policy),
    )  # fmt: skip


def keep_shipped(desk: Desk) -> None:
    """Every policy that comes with Consign is on record."""
    with desk.database.write() as connection:
        for name in release.shipped():
            keep(connection, desk, name)


def propose(desk: Desk, file: Path, *, dry_run: bool = False) -> Policy:
    """The policy in the file waits for a second person.

    Raises PolicyInvalid for one that cannot be enforced, UsageError for a file that cannot be read, a name that comes
    with Consign, and another text under a version that was used: a version is one text for ever.
    """
    text, _ = from_file(file)
    return propose_text(desk, text, str(file), dry_run=dry_run)


def propose_text(desk: Desk, text: str, source: str, *, dry_run: bool = False) -> Policy:
    """As `propose`, of a text; `source` is what errors call it."""
    policy = Policy.parse(text)
    if policy.name in release.shipped():
        raise UsageError(f"{source} has the name of a policy that comes with Consign", fix="give it another name")
    with desk.database.write() as connection:
        trail.hold(connection)
        if policy.over:
            find(connection, policy.over)
        if (row := store.version(connection, policy.name, policy.version)) is not None:
            other = "" if row.sha256 == policy.sha256 else ", with another text"
            raise UsageError(
                f"version {policy.version} of {policy.name} is {row.state} already{other}",
                fix="a version is one text for ever: give what is new a new version",
            )
        if not dry_run:
            store.add(
                connection, name=policy.name, version=policy.version, state="proposed", origin="own", toml=text,
                sha256=policy.sha256, over=policy.over or None, proposed_by=desk.actor, proposed_at=desk.now(),
                audit_seq=_record(connection, desk, "proposed", policy),
            )  # fmt: skip
    return policy


def approve(desk: Desk, reference: str) -> Policy:
    """The version is in force from now on; the one before it no more, and plans made under that one expire.

    Raises RoleMissing, RefusedByPolicy for whoever proposed it, PolicyAltered, and PolicyInvalid where two policies
    would stand over one for the same agency.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, desk, "compliance")
        row = _row(connection, reference)
        if row.proposed_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} proposed {reference}, and cannot approve it", fix="let a second person look at it"
            )
        state = moved(f"policy {reference}", row.state, "in_force", POLICY)
        policy = read(connection, row)
        if policy.over:
            in_place(connection, policy)
        now = desk.now()
        _supersede(connection, desk, row.name)
        store.note(
            connection, row, state=state, approved_by=desk.actor, approved_at=now, in_force_from=now,
            audit_seq=_record(connection, desk, "approved", policy),
        )  # fmt: skip
    return policy


def withdraw(desk: Desk, reference: str, reason: str) -> str:
    """The version counts no more, from now on: nothing leaves under it, and no plan that names it is sent.

    Returns what it was before. One person is enough, for it can only stop things: somebody of compliance, or for a
    proposal whoever made it. Raises RoleMissing, UsageError for a reason that says nothing.
    """
    if not reason.strip() or not audit.TEXT.fullmatch(reason):
        raise UsageError("withdrawing needs a reason, in up to 200 ASCII characters", fix='--reason "why"')
    with desk.database.write() as connection:
        keep(connection, desk, reference.partition(AT)[0])
        trail.hold(connection)
        row = _row(connection, reference)
        if row.state != "proposed" or row.proposed_by != desk.actor:
            roles.require(connection, desk, "compliance")
        state = moved(f"policy {reference}", row.state, "withdrawn", POLICY)
        now = desk.now()
        until = {"in_force_until": now} if row.state == "in_force" else {}
        store.note(connection, row, state=state, withdrawn_by=desk.actor, withdrawn_at=now, reason=reason, **until)
        details = {"sha256": row.sha256, "version": row.version, "reason": reason}
        audit.record(connection, desk.actor, "policy.withdrawn", _subject(row.name, row.version), details, now)
    return str(row.state)


def history(desk: Desk, name: str | None = None) -> Sequence[Row[Any]]:
    """Every version of the policy, or of all, the newest first. Raises UsageError for a name that nobody knows."""
    with desk.database.read() as connection:
        rows = store.versions(connection, name)
        if not rows and name is not None and name not in release.shipped():
            raise UsageError(f"there is no policy {name!r}", fix=f"there are {', '.join(names(connection))}")
    return rows


def from_file(file: Path) -> tuple[str, Policy]:
    """A policy that somebody is still writing, as text and as what it says. Raises UsageError, PolicyInvalid."""
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{file} cannot be read: {type(broken).__name__}", fix="name a TOML file in UTF-8") from None
    return text, Policy.parse(text)


def _supersede(connection: Connection, desk: Desk, name: str) -> None:
    row = store.in_force(connection, name)
    if row is None:
        return
    state = moved(f"policy {name}{AT}{row.version}", row.state, "superseded", POLICY)
    store.note(connection, row, state=state, in_force_until=desk.now())
    details = {"sha256": row.sha256, "version": row.version}
    audit.record(connection, desk.actor, "policy.superseded", _subject(name, row.version), details, desk.now())


def _record(connection: Connection, desk: Desk, what: str, policy: Policy) -> int:
    """The event, which says what the text is. Returns its number."""
    details = {"sha256": policy.sha256, "version": policy.version}
    subject = _subject(policy.name, policy.version)
    return audit.record(connection, desk.actor, f"policy.{what}", subject, details, desk.now()).seq


def _subject(name: str, number: str) -> str:
    return f"policy:{name}{AT}{number}"
