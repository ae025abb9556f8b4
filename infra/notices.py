"""Tell people of exceptions that are new, or have just become overdue: counts and codes, once each, until it is taken.

An exception is told of when the notice was taken, and not before: what a dead webhook missed goes with the next look.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, or_, select, update

from connectors import notices
from connectors.notices import MailServer, NoticeFailed
from infra.exceptions import EXCEPTIONS, UNRESOLVED
from infra.journaling import journal
from infra.store import trail
from models.exceptions import CODES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from infra.wiring import Desk

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 4.0


def tell(desk: Desk) -> int:
    """How many channels have taken the notice of what is new; 0 where nothing is, or none is set.

    What no channel took is told at the next look. Raises NoticeFailed where one failed; another may have taken it.
    """
    channels = _channels(desk)
    now = desk.now()
    with desk.database.read() as connection:
        new, overdue = _untold(connection, now)
        unresolved = connection.execute(
            select(func.count()).select_from(EXCEPTIONS).where(EXCEPTIONS.c.state.in_(UNRESOLVED))
        ).scalar_one()
    if (not new and not overdue) or not channels:
        return 0
    notice = {
        "from": "consign",
        "at": now.isoformat(timespec="seconds"),
        "new": _counted(new),
        "overdue": _counted(overdue),
        "unresolved": int(unresolved),
    }
    failed: NoticeFailed | None = None
    took = 0
    for name, send in channels.items():
        try:
            _again(desk, lambda send=send: send(notice))  # type: ignore[misc] # the loop's own
            took += 1
        except NoticeFailed as error:
            journal("notices").warning("a notice was not taken", kind=name, error=type(error).__name__)
            failed = error
    if took:
        _told(desk, [row.exception_id for row in new], [row.exception_id for row in overdue], now)
    if failed is not None:
        raise failed
    return took


def _untold(connection: Connection, now: datetime) -> tuple[list[Any], list[Any]]:
    """The unresolved exceptions that nobody was told of, and those that nobody was told are overdue."""
    rows = connection.execute(
        select(EXCEPTIONS.c.exception_id, EXCEPTIONS.c.code, EXCEPTIONS.c.told_at, EXCEPTIONS.c.due_at).where(
            EXCEPTIONS.c.state.in_(UNRESOLVED),
            or_(
                EXCEPTIONS.c.told_at.is_(None),
                and_(EXCEPTIONS.c.told_overdue_at.is_(None), EXCEPTIONS.c.due_at < now),
            ),
        )
    ).all()
    return [row for row in rows if row.told_at is None], [row for row in rows if row.due_at < now]


def _counted(rows: list[Any]) -> list[dict[str, object]]:
    counts = Counter(str(row.code) for row in rows)
    return [
        {"code": code, "count": number, "severity": CODES[code].severity if code in CODES else "normal"}
        for code, number in sorted(counts.items())
    ]


def _told(desk: Desk, new: list[int], overdue: list[int], now: datetime) -> None:
    with desk.database.write() as connection:
        trail.hold(connection)  # as everybody who changes exceptions
        for ids, column in ((new, EXCEPTIONS.c.told_at), (overdue, EXCEPTIONS.c.told_overdue_at)):
            for first in range(0, len(ids), 500):
                connection.execute(
                    update(EXCEPTIONS)
                    .where(EXCEPTIONS.c.exception_id.in_(ids[first : first + 500]))
                    .values({column.name: now})
                )


def _channels(desk: Desk) -> dict[str, Callable[[dict[str, object]], None]]:
    """The ways that are set, by name."""
    at = desk.settings
    ways: dict[str, Callable[[dict[str, object]], None]] = {}
    if at.notify_webhook is not None:
        url, token = at.notify_webhook.get_secret_value(), _secret(at.notify_webhook_token)
        ways["webhook"] = lambda notice: notices.post(url, notice, token=token, timeout=at.notify_timeout)
    if at.notify_mail_to:
        server = MailServer(
            at.notify_mail_host, at.notify_mail_port, at.notify_mail_security, at.notify_mail_username,
            _secret(at.notify_mail_password),
        )  # fmt: skip
        ways["mail"] = lambda notice: notices.mail(
            server, at.notify_mail_from, at.notify_mail_to, _headline(notice), _letter(notice),
            timeout=at.notify_timeout,
        )  # fmt: skip
    return ways


def _secret(value: Any) -> str:
    return value.get_secret_value() if value is not None else ""


def _headline(notice: Any) -> str:
    new, overdue = (sum(int(one["count"]) for one in notice[name]) for name in ("new", "overdue"))
    return f"Consign: {new} new exceptions, {overdue} overdue"


def _letter(notice: Any) -> str:
    """The notice in words: codes and counts, and where to look."""
    lines = [f"At {notice['at']}: {notice['unresolved']} exceptions are unresolved.", ""]
    for name, heading in (("new", "New:"), ("overdue", "Past their time:")):
        if notice[name]:
            lines += [heading, *(f"  {one['count']:>5}  {one['code']} ({one['severity']})" for one in notice[name]), ""]
    return "\n".join([*lines, "consign exceptions list"]) + "\n"


def _again(desk: Desk, act: Callable[[], None]) -> None:
    """The act, tried `notify_attempts` times with growing pauses. Raises what the last try raised."""
    import stamina

    for attempt in stamina.retry_context(
        on=NoticeFailed, attempts=desk.settings.notify_attempts, wait_initial=FIRST_PAUSE, wait_max=LONGEST_PAUSE,
        wait_jitter=FIRST_PAUSE, timeout=None,
    ):  # fmt: skip
        with attempt:
            act()
