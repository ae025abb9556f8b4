"""Clocks: by when an agency must have answered, as its contract says, in its time zone, on its calendar.

Where the contract says nothing the settings do. Calendars come from the `holidays` package, which knows which weekends
China works; the file of the setting `calendars` adds days of a lender's own, or a year that the package does not know.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from infra.store import bulk
from models.calendar import Calendar, Span, due_after, due_on
from models.contract import Clocks, clocks_in
from models.errors import ConfigurationError
from models.tables import Agency, AgencyContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from infra.settings import Settings
    from infra.wiring import Desk

AGENCIES = bulk.table_of(Agency)
CONTRACTS = bulk.table_of(AgencyContract)

WEEKENDS: Final = "weekends"
"""The calendar without holidays: Monday to Friday."""
ZONE: Final = "Asia/Shanghai"
"""Where an exception's owner is, when it is about no agency."""
YEARS_BACK: Final = 2
YEARS_ON: Final = 3
LOOK_AHEAD: Final = timedelta(days=45)
"""A year whose holidays matter already: the longest waits of a contract end that much later."""
STATED: Final = frozenset({"like", "days_off", "worked", "known_years"})


@dataclass(frozen=True)
class Clock:
    """What one agency has agreed with one lender about time."""

    acknowledge_within: Span
    confirm_recall_within: Span
    certify_erasure_within: Span
    report_activity_every: Span
    calendar: Calendar
    zone: str


def clock(connection: Connection, desk: Desk, agency: str, lender: str | None, on: date) -> Clock:
    """The clock in force between them on that day; the settings' own where they have no contract."""
    in_force = (
        select(CONTRACTS.c.terms)
        .where(CONTRACTS.c.agency == agency, CONTRACTS.c.lender == lender, CONTRACTS.c.effective_from <= on)
        .order_by(CONTRACTS.c.effective_from.desc())
        .limit(1)
    )
    terms = connection.execute(in_force).scalar_one_or_none()
    zone = connection.execute(select(AGENCIES.c.timezone).where(AGENCIES.c.agency == agency)).scalar_one_or_none()
    return _clock(desk, clocks_in(terms) if terms else Clocks(), lender, str(zone or ZONE), on)


def clocks(
    connection: Connection, desk: Desk, pairs: Iterable[tuple[str, str]], on: date
) -> Mapping[tuple[str, str], Clock]:
    """The clock of each pair of agency and lender on that day, in two queries whatever their number."""
    newest = (
        select(CONTRACTS.c.agency, CONTRACTS.c.lender, func.max(CONTRACTS.c.effective_from).label("since"))
        .where(CONTRACTS.c.effective_from <= on)
        .group_by(CONTRACTS.c.agency, CONTRACTS.c.lender)
        .subquery()
    )
    rows = connection.execute(
        select(CONTRACTS.c.agency, CONTRACTS.c.lender, CONTRACTS.c.terms).join(
            newest,
            (newest.c.agency == CONTRACTS.c.agency)
            & (newest.c.lender == CONTRACTS.c.lender)
            & (newest.c.since == CONTRACTS.c.effective_from),
        )
    ).all()
    terms = {(row.agency, row.lender): row.terms for row in rows}
    zones = {row.agency: row.timezone for row in connection.execute(select(AGENCIES.c.agency, AGENCIES.c.timezone))}
    return {
        (agency, lender): _clock(
            desk,
            clocks_in(terms[agency, lender]) if (agency, lender) in terms else Clocks(),
            lender,
            zones.get(agency, ZONE),
            on,
        )
        for agency, lender in sorted(set(pairs))
    }


def owner_deadline(connection: Connection, desk: Desk, within: str, agency: str | None, now: datetime) -> datetime:
    """By when somebody of ours must have looked at it: a span of the house's calendar, in the agency's zone."""
    zone = connection.execute(select(AGENCIES.c.timezone).where(AGENCIES.c.agency == agency)).scalar_one_or_none()
    return due_after(now, Span.parse(within), calendar(desk, desk.settings.calendar, now.date()), str(zone or ZONE))


def due_by(
    connection: Connection, desk: Desk, today: date, which: Callable[[Clock], Span]
) -> Callable[[str, str], date]:
    """A function of lender and agency: the last day on which what is asked for today is in time."""

    def due(lender: str, agency: str) -> date:
        agreed = clock(connection, desk, agency, lender, today)
        return due_on(today, which(agreed), agreed.calendar)

    return due


# -- calendars ---------------------------------------------------------------------------------------------------------


def calendar(desk: Desk, name: str, around: date) -> Calendar:
    """The calendar of that name, with the days of the years around.

    name: `weekends`, a country's ISO code (CN, HK, GB …), or a heading of the file of the setting `calendars`.
    Raises ConfigurationError where there is none.
    """
    stated = _stated(desk.settings)
    return _named(name, stated, around.year, ())


def unknown_years(connection: Connection, desk: Desk) -> list[tuple[str, int]]:
    """Calendars in use, and their years (this one, and the next where it is near) whose holidays are not known yet."""
    today = desk.today()
    names = {desk.settings.calendar, *_stated(desk.settings)}
    for terms in connection.execute(select(CONTRACTS.c.terms).distinct()).scalars():
        if named := clocks_in(terms).calendar:
            names.add(named)
    years = sorted({today.year, (today + LOOK_AHEAD).year})
    return [(name, year) for name in sorted(names) for year in years if not calendar(desk, name, today).is_known(year)]


def _clock(desk: Desk, agreed: Clocks, lender: str | None, zone: str, on: date) -> Clock:
    at = desk.settings
    of_lender = lender if lender in _stated(at) else at.calendar
    return Clock(
        acknowledge_within=agreed.acknowledge_within or Span.parse(at.acknowledge_within),
        confirm_recall_within=agreed.confirm_recall_within or Span(at.recall_days, "days"),
        certify_erasure_within=agreed.certify_erasure_within or Span(at.erasure_days, "days"),
        report_activity_every=agreed.report_activity_every or Span.parse(at.report_activity_every),
        calendar=calendar(desk, agreed.calendar or str(of_lender), on),
        zone=zone,
    )


def _named(name: str, stated: Mapping[str, Any], year: int, seen: tuple[str, ...]) -> Calendar:
    if name in seen:
        raise ConfigurationError(f"calendar {name} is like itself", fix="end its `like` at a country or at weekends")
    own = stated.get(name)
    like = str(own.get("like", name)) if own else name
    if like == name:
        base = Calendar(WEEKENDS) if name == WEEKENDS else _of_country(name, year, lone=own is None)
    else:
        base = _named(like, stated, year, (*seen, name))
    if not own:
        return base
    worked, off = frozenset(own.get("worked", ())), frozenset(own.get("days_off", ()))
    known = base.known_years
    return Calendar(
        name,
        days_off=(base.days_off | off) - worked,
        worked=(base.worked | worked) - off,
        known_years=None if known is None else known | frozenset(own.get("known_years", ())),
        weekend=base.weekend,
    )


@cache
def _of_country(code: str, year: int, *, lone: bool) -> Calendar:
    """The country's calendar for the years around, as the `holidays` package has it."""
    import holidays  # a tenth of a second: only who asks for a calendar pays it

    years = range(year - YEARS_BACK, year + YEARS_ON + 1)
    try:
        found = holidays.country_holidays(code, years=years)
    except NotImplementedError:
        if not lone:  # a calendar of one's own that says nothing of `like`
            return Calendar(code)
        raise ConfigurationError(
            f"there is no calendar {code!r}",
            fix="name a country (CN, HK, GB), `weekends`, or a heading of the file of the setting `calendars`",
        ) from None
    worked = frozenset(found.weekend_workdays)
    # where weekends are worked they are published year by year: a year without any is not published yet
    published = frozenset(day.year for day in worked) if code == "CN" else None
    return Calendar(code, frozenset(found), worked, published, frozenset(found.weekend))


def _stated(settings: Settings) -> Mapping[str, Any]:
    path = settings.calendars
    if path is None:
        return {}
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError:
        message = f"no file {path}"
        raise ConfigurationError(
            message, fix="the setting `calendars` names a TOML file; make it or unset it"
        ) from None


@cache
def _read(path: Path, _changed: int) -> Mapping[str, Any]:
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", fix="docs/reference/contracts.md#clocks") from None
    for name, own in stated.items():
        if not isinstance(own, dict) or set(own) - STATED:
            raise ConfigurationError(f"{path}: [{name}] is not written as a calendar", fix=_FORM)
        _check(path, name, own)
    return stated


_FORM: Final = "a calendar has like, days_off, worked and known_years: docs/reference/contracts.md#clocks"


def _check(path: Path, name: str, own: Mapping[str, Any]) -> None:
    # TOML's own dates and nothing else: a datetime is a date too
    for key in ("days_off", "worked"):
        if not all(type(day) is date for day in own.get(key, [])):
            raise ConfigurationError(f"{path}: [{name}] {key} is no list of dates", fix="write 2027-02-08, unquoted")
    if not all(type(year) is int for year in own.get("known_years", [])):
        raise ConfigurationError(f"{path}: [{name}] known_years is no list of years", fix=_FORM)
