"""What a new agency is handed is whole, and says what the gateway says."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from frictionless import Resource, Schema

from infra import agencykit
from infra.filecheck import check_file
from models.kinds import INBOUND, KINDS

Gateway = Any  # tests/infra/exchange/conftest.py
GUIDE = re.compile(r"sh ([a-z]+\.sh)")


@pytest.fixture
def kit(gateway: Gateway, tmp_path: Path) -> Path:
    """A kit on the disk."""
    return agencykit.write(gateway.world.desk, "quayside", tmp_path / "kit").folder


def test_there_is_a_good_file_of_every_kind_that_agencies_send(kit: Path) -> None:
    assert set(agencykit.EXAMPLES) == INBOUND
    for kind in INBOUND:
        assert check_file(kit / "examples" / f"{kind}.csv", kind).refused == 0


def test_the_schemas_are_those_of_strangers_too(kit: Path) -> None:
    for kind in sorted(INBOUND):
        schema = Schema.from_descriptor(json.loads((kit / "schemas" / "from_agency" / f"{kind}.json").read_text()))
        report = Resource(path=f"{kind}.csv", basepath=str(kit / "examples"), schema=schema).validate()
        assert report.valid, (kind, report.flatten(["fieldName", "note"]))
    assert {path.stem for path in (kit / "schemas").rglob("*.json")} == set(KINDS)


def test_every_bad_example_comes_with_what_we_would_say_of_it(kit: Path) -> None:
    said = list((kit / "examples" / "faulty").glob("*.receipt.csv"))
    assert len(said) == len(agencykit.FAULTY)
    for path in said:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert rows, path.name
        assert all(row["code"] and row["fix"] for row in rows)


def test_our_fingerprints_are_told_beside_our_keys_and_no_secret_is(kit: Path, gateway: Gateway) -> None:
    ours = gateway.world.desk.keyring.public_keys("age", gateway.world.desk.now())
    told = (kit / "fingerprints.txt").read_text()
    assert ours["fingerprint"] in told
    assert ours["encrypt_fingerprint"] in told
    assert (kit / "keys" / "lender.age").read_text().strip() == ours["encrypt"]
    everything = "".join(path.read_text(encoding="utf-8") for path in kit.rglob("*") if path.is_file())
    assert "AGE-SECRET-KEY" not in everything
    assert "PRIVATE KEY" not in everything


def test_every_script_that_the_guides_call_is_in_the_kit(kit: Path) -> None:
    for guide in agencykit.GUIDES:
        called = set(GUIDE.findall((kit / guide).read_text(encoding="utf-8")))
        assert called <= {path.name for path in kit.glob("*.sh")}


def test_every_link_in_the_kit_leads_to_a_page_in_it(kit: Path) -> None:
    links = [
        (page, link[2])
        for page in kit.rglob("*.md")
        for link in agencykit.LINK.finditer(page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 20
    assert [(page.name, target) for page, target in links if not (page.parent / target).is_file()] == []


def test_the_guide_in_the_kit_says_the_very_commands_of_the_documentation(kit: Path) -> None:
    blocks = re.compile(r"```sh\n.*?```", re.DOTALL)
    for name in agencykit.GUIDES:
        ours = (Path(agencykit.__file__).parents[1] / "docs" / "how-to" / name).read_text(encoding="utf-8")
        assert blocks.findall((kit / name).read_text(encoding="utf-8")) == blocks.findall(ours)


def test_a_kit_written_again_is_the_same(kit: Path, gateway: Gateway) -> None:
    before = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    agencykit.write(gateway.world.desk, "quayside", kit)
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == before


def test_the_settings_are_the_guides_first_block_filled_in(kit: Path) -> None:
    assert "export AGENCY=quayside" in (kit / "settings.sh").read_text()
