"""Every page in 中文, of a house in the middle of its work: no sentence and no word of English is left on it.

In Latin letters stand names (of people, agencies, lenders, formats, laws, programs), codes, commands, and what people
wrote. What a page sets as code (`class="code"`, <code>, <kbd>, <pre>) is a code.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

import pytest
from lxml import html
from sqlalchemy import select
from sqlmodel import SQLModel

from infra import health
from infra.sandbox import staff
from infra.sandbox.world import settings_of
from infra.store import bulk
from infra.wiring import Desk
from models import packaged, release
from models.kinds import KINDS, PLACEMENT_FIELDS
from models.tables import Agency, Lender, ReleasePolicy, Rulebook
from tests.console.web import posed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.console.web.conftest import As, Crawl

NOW: Final = datetime(2026, 3, 2, 1, tzinfo=UTC)
SHOWN: Final = ("title", "aria-label", "placeholder", "alt", "data-row", "data-ask")
"""Attributes that are read out or shown."""
UNSPOKEN: Final = frozenset({"script", "style", "code", "kbd", "pre", "textarea"})
WRITTEN: Final = (
    "reason",
    "why",
    "text",
    "note",
    "proof",
    "basis",
    "evidence",
    "circle",
    "rule",
    "browser",
    "actor",
    "last_error",
)
"""Columns of what people and browsers wrote, and of names that they gave."""
OURS: Final = frozenset({"disclosure", "breach"})
"""Tables whose columns of those names the house writes itself."""
COMMAND: Final = re.compile(r"`[^`]*`|\bconsign(?: [a-z-]+)+(?: --[a-z-]+(?: [A-Z]+)?| [A-Z]+\b)*")
CODED: Final = re.compile(
    r"[\w#]*\d[\w.]*|/?\w+(?:[._/@:=+#→-]+\w+)*[._/@:=+#→]+\w+|[a-z]+(?:-[a-z0-9]+)+|[A-Z0-9]+(?:-[A-Z0-9]+)+-?|(?<!\w)[.-][a-z]+\b"
)
"""Numbers, dotted and underlined names, paths, hyphenated codes of the house."""
WORD: Final = re.compile(r"[A-Za-z]{2,}")
NAMES: Final = frozenset(
    word
    for line in (
        "English Consign consign console Prefect Excel hledger Ledger Beancount Vault Argon AWS KMS SQLite PostgreSQL",
        "NTP Mack",
        "CSV XLSX PDF JSON TOML ZIP SHA SSH SFTP UTF ASCII OpenPGP openpgp OpenSSH age sftp UTC ISO IBAN BIC API UUID",
        "HTTP TLS camt MT SVG OIDC TOTP xlsx csv txt tsv parquet Bearer Authorization ECE AAAA ed yyyyMMdd",
        "MB GB KiB MiB GiB",
        "GDPR PIPL CCPA GLBA SCRA FCA CONC DISP EDPB CFR USC Cal Civ Code JR UK US EU CN JP HK",
        "CNY USD JPY EUR TWD GBP HKD",
        "Enter Esc Escape Tab",
        "lendingclub LendingClub PostFinance Raiffeisen",
    )
    for word in line.split()
)
"""Names that are written so in 中文 too."""


@pytest.fixture(scope="module")
def sandbox_home(sandbox_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its people have done half of the next thing."""
    home = tmp_path_factory.mktemp("posed") / "home"
    shutil.copytree(sandbox_home, home)
    desk = Desk(settings_of(home, engine="direct"), clock=lambda: NOW, actor="console")
    posed.pose(desk)
    desk.database.close()
    return home


def told(desk: Desk) -> frozenset[str]:
    """What stands in the store because people wrote it, and the names that they gave."""
    with desk.database.read() as connection:
        return frozenset(_given(connection))


def _given(connection: Connection) -> Iterator[str]:
    """Names of agencies and lenders, and what was written."""
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            if column.name in WRITTEN and table.name not in OURS and bulk.is_text(column):
                yield from connection.execute(select(column).distinct().where(column.is_not(None))).scalars()
    for named in (Agency, Lender, ReleasePolicy, Rulebook):
        table = bulk.table_of(named)
        yield from connection.execute(select(table.c.name)).scalars()
        yield from connection.execute(select(table.primary_key.columns.values()[0])).scalars()


def known(written: frozenset[str]) -> tuple[re.Pattern[str], ...]:
    """What may stand on a page, in the order in which it is taken away: texts, commands, codes, names."""
    given = {*written, *staff.STAFF.values(), staff.SECOND, staff.CLERK}
    texts = {one for one in given if " " in one.strip()}
    return _any(texts | available_timezones()), COMMAND, CODED, _any(given - texts)


def english(page: str, known: Sequence[re.Pattern[str]]) -> Iterator[str]:
    """The texts of the page in which a word is English."""
    for text in _texts(html.fromstring(page)):
        left = text
        for one in known:
            left = one.sub(" ", left)
        if set(WORD.findall(left)) - NAMES - CODES:
            yield text


def _any(words: Iterable[str]) -> re.Pattern[str]:
    """Any of them, whole; 中文 may stand beside it without a space."""
    longest_first = sorted((re.escape(one) for one in words if WORD.search(one)), key=len, reverse=True)
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(longest_first)})(?![A-Za-z0-9_])")


CODES: Final = frozenset(
    {name for kind in KINDS.values() for name in (kind.name, kind.table)}
    | {field.name for kind in KINDS.values() for field in kind.fields}
    | set(PLACEMENT_FIELDS)
    | set(release.shipped())
    | {*health.PROGRAMS, *health.PINNED, *health.BELOW, "python", "sqlite", "chmod"}
    | {name for package, folder in (("models", "charts"), ("models.conduct", "packs"), ("models", "retention"))
       for name in packaged.names(package, folder)}
)  # fmt: skip
"""Kinds, tables and columns of files, as the files themselves call them; rules that come with Consign; programs."""


def _texts(page: html.HtmlElement) -> Iterator[str]:
    for node in page.iter():
        if not isinstance(node.tag, str):
            continue
        if not _is_code(node):
            yield from (" ".join(node.get(name, "").split()) for name in SHOWN)
            yield " ".join((node.text or "").split())
        if (parent := node.getparent()) is not None and not _is_code(parent):
            yield " ".join((node.tail or "").split())


def _is_code(node: html.HtmlElement) -> bool:
    return any(
        one.tag in UNSPOKEN or "code" in (one.get("class") or "").split() for one in (node, *node.iterancestors())
    )


@pytest.mark.timeout(600)  # some hundred pages: seconds alone, minutes on a machine that others use too
@pytest.mark.parametrize("who", ["second", "agency"])
def test_no_english_is_left_on_a_page_in_chinese(browse: As, crawl: Crawl, desk: Desk, who: str) -> None:
    left: dict[str, set[str]] = defaultdict(set)
    pages, browser = 0, browse(who, language="zh")
    patterns = known(told(desk))
    for path, answer in crawl(browser):
        if answer.headers.get("content-type", "").startswith("text/html"):
            pages += 1
            assert 'lang="zh-Hans"' in answer.text, path
            for text in english(answer.text, patterns):
                left[text].add(path)
    assert pages > {"second": 100, "agency": 8}[who]
    assert not left, "\n".join(f"{min(paths)}: {text}" for text, paths in sorted(left.items()))
