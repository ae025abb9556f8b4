"""`consign agency certify`, as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.health import certified
from infra.sandbox.candidate import Candidate
from infra.sandbox.world import Cast, World, open_world

Type = Callable[..., Result]
FINDINGS, USAGE, REFUSED = 3, 2, 6


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A prospect that shares a folder with the lender."""
    with open_world(
        tmp_path / "home", seed=3, start=date(2026, 1, 5), cast=(Cast("quayside", "Quayside"),),
        lenders={"harbour": "Harbour"}, sftp=False, engine="direct", require_certificate=True,
    ) as opened:  # fmt: skip
        yield opened


@pytest.fixture
def typed(world: World) -> Type:
    """Types a command; it must end with `code`."""
    assert world is not None

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [*words])
        assert result.exit_code == code, result.output
        return result

    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_certification_from_start_to_certificate(world: World, typed: Type, tmp_path: Path) -> None:
    assert said(typed("agency", "list", "--json"))["items"][0]["certificate"] == "none"
    opened = said(typed("agency", "certify", "start", "quayside", "--json"))
    assert opened["level"] == "money"  # the sandbox's contracts let debtors pay to the agency
    (key, *_) = world.desk.keyring.trusted_keys("quayside", "age")
    typed("agency", "certify", "fingerprint", "quayside", "--sign", key.fingerprint,
          "--encrypt", key.public["encrypt_fingerprint"], "--ours-confirmed")  # fmt: skip
    theirs = world.agencies["quayside"]
    agency = Candidate("quayside", theirs.suite, theirs.root, theirs.keyring)
    for _ in range(9):
        agency.answer(world.desk.today(), world.desk.now())
        typed("collect", "quayside")
    told = said(typed("agency", "certify", "status", "quayside", "--json"))
    assert (told["state"], told["standing"], told["needed"]) == ("passed", "valid", "money")
    assert {step["state"] for step in told["steps"]} == {"done"}
    typed("agency", "certify", "certificate", "quayside", "--out", str(tmp_path / "c"))
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "certificate.json", "certificate.json.sig", "certificate.html"
    }  # fmt: skip
    (listed,) = said(typed("agency", "list", "--json"))["items"]
    assert (listed["state"], listed["certificate"], listed["certified_to"]) == ("certified", "valid", "money")
    assert [one.state for one in certified(world.desk)] == ["ok"]


def test_a_fingerprint_that_differs_is_said_with_an_exit_code(typed: Type) -> None:
    typed("agency", "certify", "start", "quayside")
    typed("agency", "certify", "fingerprint", "quayside", code=USAGE)
    typed("agency", "certify", "fingerprint", "quayside", "--sign", "SHA256:" + "A" * 43, code=FINDINGS)
    assert said(typed("agency", "certify", "status", "quayside", "--json"))["state"] == "stopped"


def test_what_cannot_be_is_refused_with_a_reason(typed: Type) -> None:
    typed("agency", "certify", "status", "quayside", code=USAGE)
    typed("agency", "certify", "certificate", "quayside", code=USAGE)
    typed("agency", "certify", "waive", "quayside", code=USAGE)
    typed("agency", "certify", "start", "nobody", code=USAGE)
    typed("agency", "state", "quayside", "certified", code=REFUSED)
    typed("portfolio", "lender", "add", "certification", "--name", "X", code=USAGE)


def test_a_waiver_is_asked_for_and_granted_by_two_people(world: World, typed: Type) -> None:
    typed("agency", "certify", "waive", "quayside", "--reason", "moves its server")
    typed("agency", "certify", "waive", "quayside", "--grant", code=REFUSED)
    world.desk.actor = "li.wei"
    typed("agency", "certify", "waive", "quayside", "--grant")
    typed("agency", "state", "quayside", "certified")
    (found,) = certified(world.desk)
    assert (found.check, found.state) == ("certificate of quayside", "ok")


def test_a_run_can_be_given_up(typed: Type) -> None:
    typed("agency", "certify", "start", "quayside", "--level", "work")
    typed("agency", "certify", "give-up", "quayside", "--yes")
    assert said(typed("agency", "certify", "status", "quayside", "--json"))["state"] == "given_up"
