"""A new agency, from hello to its certificate: the kit, the guide's own commands, Debian's programs, a real sshd.

The lender's side is the program as people call it. The agency's side runs nothing of ours but the three shell scripts
of its kit, in a folder of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.sandbox.host import SandboxHost
from models.certification import steps_of

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- runs: ([\w-]+) -->\n```sh\n(.*?)```", re.DOTALL)
PROGRAMS = ("sshd", "sftp", "ssh-keygen", "ssh-keyscan", "age", "age-keygen", "gpg", "zip", "unzip", "basenc", "awk")
EXCHANGE = {step.code for step in steps_of("exchange")}


class Agency:
    """A person at a shell, in the kit's folder, who types what the guide in it says."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder
        self.ours = "gpg" if suite == "openpgp" else "age"
        self.blocks: dict[str, str] = {}
        self.typed: set[str] = set()

    def unpack(self, kit: Path) -> None:
        """The kit is the folder that it works in."""
        shutil.copytree(kit, self.folder, dirs_exist_ok=True)
        self.blocks = dict(BLOCK.findall((self.folder / "for-agencies.md").read_text(encoding="utf-8")))

    def types(self, *names: str, fails: bool = False) -> str:
        """What the shell answers to these blocks, typed after the settings, `folders` and `drop`."""
        chosen = [f"{name}-{self.ours}" if f"{name}-{self.ours}" in self.blocks else name for name in names]
        self.typed |= set(chosen)
        script = "".join(self.blocks[name] for name in ("folders", "drop", *chosen))
        done = subprocess.run(
            ["sh", "-e", "-c", f". ./settings.sh\n{script}"],
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, f"{names}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def reads(self) -> str:
        """It fetches what is new, checks it, and takes it off the server."""
        return self.types("fetch", "certify-check", "tidy")

    def posts(self) -> None:
        """It seals what lies in out/ and sends it."""
        self.types("seal", "send")


@pytest.fixture
def host(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[SandboxHost]:
    """The real sshd with the exchange's directories."""
    for program in PROGRAMS:
        needs(program)
    with SandboxHost(tmp_path / "server", ["quayside"]) as running:
        yield running


@pytest.fixture(params=["age", "openpgp"])
def hello(
    request: pytest.FixtureRequest, consign: Any, contract: Callable[..., Path], host: SandboxHost
) -> Iterator[tuple[Any, Agency]]:
    """A lender and an agency that have said hello: row, drop, contract, and a kit on the agency's desk."""
    folder = Path(tempfile.mkdtemp(prefix="agency-"))  # GnuPG's socket needs a short path
    agency = Agency(folder, request.param)
    today = datetime.now(UTC).date()
    consign("init")
    consign("portfolio", "lender", "add", "harbour", "--name", "Harbour Consumer Finance")
    added = consign("agency", "add", "quayside", "--name", "Quayside", "--suite", request.param, "--json").json
    host.authorize("quayside", added["ssh_client_key"])
    consign("agency", "drop", "quayside", "--host", host.host, "--port", host.port, "--username",
            host.settings_for("quayside", "").username, "--host-key", host.host_key_line)  # fmt: skip
    consign("agency", "contract", "quayside", "--lender", "harbour", "--terms", contract("QUAYSIDE-"),
            "--effective-from", today, "--share", 1)  # fmt: skip
    consign("agency", "kit", "quayside", "--out", consign.folder / "kit")
    agency.unpack(consign.folder / "kit")
    yield consign, agency
    subprocess.run(
        ["gpgconf", "--homedir", str(folder / "keys" / "gnupg"), "--kill", "gpg-agent"],
        check=False,
        capture_output=True,
    )
    shutil.rmtree(folder)


def states(consign: Any) -> dict[str, str]:
    told = consign("agency", "certify", "status", "quayside", "--json").json
    return {step["step"]: step["state"] for step in told["steps"]}


def exchange_keys(consign: Any, agency: Agency, host: SandboxHost) -> list[str]:
    """Keys are made, handed over and read out on both sides; returns what the agency read out."""
    prints = agency.types("keys", *(["fingerprints-age"] if agency.ours == "age" else []))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", agency.folder / "keys" / "sftp"], check=True)
    host.authorize("quayside", (agency.folder / "keys" / "sftp.pub").read_text())
    theirs = agency.folder / "for-the-lender"
    both = (theirs / "quayside.asc",) * 2
    keys = both if agency.ours == "gpg" else (theirs / "quayside.age", theirs / "quayside.sign.pub")
    consign("agency", "keys", "trust", "quayside", "--encrypt", keys[0], "--verify", keys[1])
    shown = agency.types("lender", "pin")
    spoken = re.findall(r"SHA256:[\w+/]+|\b[0-9A-F]{40}\b", prints)
    assert "no certificate" in consign("agency", "state", "quayside", "certified", exits=6).err
    consign("agency", "certify", "start", "quayside")
    encrypt = ("--encrypt", spoken[1]) if agency.ours == "age" else ()
    consign("agency", "certify", "fingerprint", "quayside", "--sign", spoken[0], *encrypt)
    ours = (agency.folder / "fingerprints.txt").read_text().split("\n")[0].split("\t")[1]
    assert ours in shown
    return spoken


def show_exchange(consign: Any, agency: Agency) -> None:
    """The test placement is booked; planted faults are found, mistakes made and mended."""
    agency.types("certify-begin", "certify-fingerprints", "certify-read-back")
    agency.reads()
    agency.types("certify-book", "certify-acknowledge")
    agency.posts()
    consign("collect")
    now = states(consign)
    assert now["keys_read_back"] == now["placement_acknowledged"] == "done"
    said = agency.reads()
    assert said.count("refused ") == 8, said  # seven faults, one of them in two lines
    agency.types("certify-refuse", "certify-book", "certify-err")
    agency.posts()
    consign("collect")
    agency.reads()
    said = agency.types("certify-receipts")
    assert all(code in said for code in ("not_date", "control_sum", "sequence_repeat"))
    agency.types("certify-mend")
    agency.posts()
    consign("collect")


def show_work(consign: Any, agency: Agency) -> None:
    """Contacts, complaints, plans, holds; a recall objected to and confirmed; an erasure certified."""
    for blocks in (("certify-work", "certify-object"), ("certify-return",), ("certify-erase",)):
        agency.reads()
        agency.types(*blocks)
        agency.posts()
        consign("collect")


def show_money(consign: Any, agency: Agency) -> None:
    """A spoilt update is found; a recovery, a line mended, a reversal and an invoice are sent."""
    assert "control_sum" in agency.reads()
    agency.types("certify-refuse", "certify-money")
    agency.posts()
    consign("collect")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_agency_gets_from_hello_to_its_certificate_with_debian_tools_alone(
    hello: tuple[Any, Agency], host: SandboxHost
) -> None:
    consign, agency = hello
    spoken = exchange_keys(consign, agency, host)
    show_exchange(consign, agency)
    assert {state for step, state in states(consign).items() if step in EXCHANGE} == {"done"}
    show_work(consign, agency)
    show_money(consign, agency)
    assert set(states(consign).values()) == {"done"}, states(consign)
    agency.reads()
    assert ",open," not in agency.types("certify-status")

    consign("agency", "certify", "certificate", "quayside", "--out", agency.folder)
    assert 'Good "consign" signature' in agency.types("certify-certificate")
    path = agency.folder / "certificate.json"
    told = json.loads(path.read_text())
    assert told["levels"] == ["exchange", "work", "money"]
    assert set(spoken) <= set(told["agency_keys"])
    path.write_text(path.read_text().replace('"issued_on"', '"issued_0n"'))
    agency.types("certify-certificate", fails=True)
    (listed,) = consign("agency", "list", "--json").json["items"]
    assert (listed["state"], listed["certified_to"]) == ("certified", "money")
    consign("agency", "state", "quayside", "live", CONSIGN_REQUIRE_DILIGENCE="false")  # papers are another gate

    left = {name for name in agency.blocks if name.startswith("certify-")} - agency.typed
    assert all(name.endswith("age" if agency.ours == "gpg" else "gpg") for name in left), left
