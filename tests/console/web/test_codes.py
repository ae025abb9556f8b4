"""What codes and tables of the house are called in 中文: every one of them, and nothing beside them."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import flows
from connectors.layouts.profiles import load_layout, shipped_layouts
from connectors.portfolio.profiles import load_profile, shipped_profiles
from console.web import codes
from console.web.codes import term
from console.web.language import errors, say
from flows.exchange import Exchanged
from flows.reconcile import Rehearsal
from infra.allowances import IDENTIFIERS
from infra.conduct import Conducted
from infra.consolidation import Linked
from infra.instalments import Followed
from infra.retention import Ran
from models import packaged
from models.checking import CODES
from models.conduct import packs
from models.exceptions import CODES as EXCEPTIONS
from models.exceptions import ROLES
from models.gate.identifiers import CERTAINTIES
from models.kinds import KINDS
from models.reconcile.outcome import VERSIONS
from models.release import CHANNELS, STAGES
from models.subject import BASES, GROUNDS
from models.subject import KINDS as REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDERS = (
    ("models", "policies"), ("models", "retention"), ("models.strategy", "shipped"), ("models.instalments", "shipped"),
)  # fmt: skip
ENGLISH = re.compile(r"[a-z]{3,} [a-z]{3,}")


@pytest.mark.parametrize(
    ("group", "needed"),
    [
        ("file", set(KINDS)),
        ("channel", set(CHANNELS)),
        ("stage", set(STAGES)),
        ("identifier", set(IDENTIFIERS)),
        ("certainty", set(CERTAINTIES)),
        ("rule", set(VERSIONS)),
        ("owner", set(ROLES)),
        ("objection", set(KINDS["recall_objection"].field("reason").one_of)),
        ("evidence", {need.kind for name in packs.shipped() for need in packs.load(name).needs}),
    ],
)
def test_every_code_of_a_table_has_its_word(group: str, needed: set[str]) -> None:
    assert needed <= set(codes.GROUPS[group])


def reports() -> Iterator[str]:
    """What the reports of flows, which jobs are the most of, say in numbers and words."""
    for each in pkgutil.iter_modules(flows.__path__):
        module = importlib.import_module(f"flows.{each.name}")
        for name, made in vars(module).items():
            if dataclasses.is_dataclass(made) and name.endswith("Report") and made.__module__ == module.__name__:
                yield from (field.name for field in dataclasses.fields(made))
    for other in (Exchanged, Rehearsal, Conducted, Linked, Followed, Ran):
        yield from (field.name for field in dataclasses.fields(other))


def test_everything_that_comes_of_a_job_has_its_word() -> None:
    said = set(reports())
    assert {"files_delivered", "accepted", "gates_closed"} <= said
    assert said <= set(codes.GROUPS["result"])


def test_several_codes_are_told_with_commas_and_none_with_a_dash() -> None:
    assert term("zh", "phone,sms", "channel") == term("zh", ["phone", "sms"], "channel") == "电话、短信"
    assert term("en", "phone,sms", "channel") == "phone, sms"
    assert (term("zh", None, "file"), term("en", "", "file")) == ("–", "–")
    assert term("zh", "invoice_answer", "file") == "账单答复"
    assert term("en", "invoice_answer", "file") == "invoice answer"
    assert term("zh", "a_lender_s_own", "purpose") == "a_lender_s_own", "what nobody knows is told as it is"


def told_in_tables() -> Iterator[str]:
    """Sentences in English of the tables that pages show."""
    yield from CODES.values()
    for exception in EXCEPTIONS.values():
        yield from (exception.about, exception.fix)
    yield from (*REQUESTS.values(), *GROUNDS.values(), *(one.about for one in BASES.values()))
    for pack in map(packs.load, packs.shipped()):
        for rule in pack.rules:
            yield from (rule.clause, rule.unit, rule.text)
    for package, folder in FOLDERS:
        for name in packaged.names(package, folder):
            yield from _sentences(tomllib.loads(packaged.text(package, folder, name)))
    yield from (load_layout(name).about for name in shipped_layouts())
    yield from (load_profile(name).about for name in shipped_profiles())


def _sentences(table: Mapping[str, Any]) -> Iterator[str]:
    """What a file of rules says in English: about itself, of its reasons, clauses and bases."""
    for name, value in table.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _sentences(one)
            elif name in {"about", "because", "basis", "legal_basis", "clause", "text"}:
                yield str(one)


def test_every_sentence_of_a_table_that_a_page_shows_is_told_in_chinese() -> None:
    explained = say("zh").explained
    left = {
        text: explained(text) for text in told_in_tables() if ENGLISH.search(re.sub("`[^`]*`", "", explained(text)))
    }
    assert not left


def test_every_sentence_of_a_table_in_the_catalogue_has_its_own_chinese() -> None:
    for message in errors()["sentences"]:
        if message.id:
            assert message.string, message.id
            assert re.search(r"[\u4e00-\u9fff]", str(message.string)) or str(message.id).startswith("`"), message.id
