"""Layout profiles in the store: reviewed, by version, never changed; and which one an agency's files are in."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from connectors.layouts.naming import Named, write_name
from connectors.layouts.profiles import Layout, parse_layout
from infra.store import bulk
from models.errors import ConfigurationError
from models.tables import Agency, LayoutProfile

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd
    from sqlalchemy import Connection

PROFILES = bulk.table_of(LayoutProfile)
AGENCIES = bulk.table_of(Agency)
PACKAGE = "package"


@lru_cache(maxsize=256)
def _parsed(sha256: str, text: str) -> Layout:
    return parse_layout(text, where=f"{sha256[:12]}.toml")


def recorded(connection: Connection, reference: str | None) -> Layout | None:
    """The profile of `name@version#sha256`; None for a package. Raises ConfigurationError where the store lost it."""
    if reference is None or reference == PACKAGE:
        return None
    sha256 = reference.rpartition("#")[2]
    text = connection.execute(select(PROFILES.c.toml).where(PROFILES.c.sha256 == sha256)).scalars().first()
    if text is None:
        message = f"the store has no layout {reference.partition('#')[0]} any more"
        raise ConfigurationError(message, fix="add it again with `consign layout add`")
    return _parsed(sha256, text)


def of_agency(connection: Connection, code: str) -> Layout | None:
    """The profile of the agency's files; None where it exchanges packages."""
    layout = connection.execute(select(AGENCIES.c.layout).where(AGENCIES.c.agency == code)).scalar_one_or_none()
    return recorded(connection, layout)


def named(
    connection: Connection, lender: str, agency: str, kind: str, day: date, sequence: int, suffix: str
) -> tuple[str, str | None]:
    """The name of a file to the agency, and the profile that it is to be written in (None: a package)."""
    layout = of_agency(connection, agency)
    plain = layout if layout is not None and kind in layout.kinds else None
    name = write_name(Named(lender, agency, kind, day, sequence), plain, suffix)
    return name, None if plain is None else plain.recorded


def find(connection: Connection, name: str, version: int | None) -> Layout | None:
    """The kept profile of that name, in that version or the newest; None where there is none."""
    chosen = select(PROFILES.c.sha256, PROFILES.c.toml).where(PROFILES.c.name == name)
    if version is not None:
        chosen = chosen.where(PROFILES.c.version == version)
    row = connection.execute(chosen.order_by(PROFILES.c.version.desc()).limit(1)).first()
    return None if row is None else _parsed(row.sha256, row.toml)


def keep(connection: Connection, layout: Layout, by: str, at: datetime) -> bool:
    """The profile is kept; True where it is new. The caller has made sure that the version is not another's."""
    if find(connection, layout.name, layout.version) is not None:
        return False
    values: dict[str, Any] = {
        "name": layout.name, "version": layout.version, "toml": layout.text, "sha256": layout.sha256,
        "added_by": by, "added_at": at,
    }  # fmt: skip
    connection.execute(insert(PROFILES).values(**values))
    return True


def kept(connection: Connection) -> pd.DataFrame:
    """Every kept profile: name, version, sha256, added_by, added_at."""
    columns = (PROFILES.c.name, PROFILES.c.version, PROFILES.c.sha256, PROFILES.c.added_by, PROFILES.c.added_at)
    return bulk.read(connection, select(*columns).order_by(PROFILES.c.name, PROFILES.c.version))


def users(connection: Connection) -> dict[str, list[str]]:
    """The agencies of each profile, by `name@version#sha256`."""
    found: dict[str, list[str]] = {}
    for code, layout in connection.execute(select(AGENCIES.c.agency, AGENCIES.c.layout).order_by(AGENCIES.c.agency)):
        found.setdefault(layout, []).append(code)
    return found
