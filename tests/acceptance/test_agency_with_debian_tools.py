"""An agency without Consign: keys, fetching, verifying, opening, answering, by the very commands of the guide."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from infra.sandbox import debtors
from infra.sandbox.host import SandboxHost

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "how-to" / "for-agencies.md"
BLOCK = re.compile(r"<!-- runs: ([\w-]+) -->\n```sh\n(.*?)```", re.DOTALL)
PROGRAMS = ("sshd", "sftp", "ssh-keygen", "ssh-keyscan", "age", "age-keygen", "gpg", "zip", "unzip", "basenc")
ROWS = 40


def blocks(guide: Path) -> dict[str, str]:
    """The guide's commands, by name, in order."""
    return dict(BLOCK.findall(guide.read_text(encoding="utf-8")))


class Agency:
    """A person at a shell, who types what the guide says."""

    def __init__(self, folder: Path, suite: str, host: SandboxHost) -> None:
        self.folder = folder
        self.suite = suite
        self.typed = (
            f"export LENDER=harbour AGENCY=quayside HOST={host.host} PORT={host.port}"
            f" LOGIN={host.settings_for('quayside', '').username}\n"
        )
        shutil.copy(GUIDE.parent / "agency" / "pack.sh", folder)

    def types(self, *names: str, fails: bool = False) -> str:
        """What the shell answers to these blocks, typed after `folders` and `drop`."""
        text = blocks(GUIDE)
        script = self.typed + "".join(text[name] for name in ("folders", "drop", *names))
        done = subprocess.run(
            ["sh", "-e", "-c", script], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode != 0) is fails, f"{names}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[SandboxHost]:
    """The real sshd with the exchange's directories."""
    for program in PROGRAMS:
        needs(program)
    with SandboxHost(tmp_path / "server", ["quayside"]) as running:
        yield running


@pytest.fixture
def desk_of_agency(host: SandboxHost) -> Iterator[Callable[[str], Agency]]:
    """A function: the agency's folder. GnuPG's socket needs a short path, which pytest's folders are not."""
    made = []

    def make(suite: str) -> Agency:
        folder = Path(tempfile.mkdtemp(prefix="agency-"))
        made.append(folder)
        return Agency(folder, suite, host)

    yield make
    for folder in made:
        agent = ["gpgconf", "--homedir", str(folder / "keys" / "gnupg"), "--kill", "gpg-agent"]
        subprocess.run(agent, check=False, capture_output=True)
        shutil.rmtree(folder)


@pytest.fixture(params=["age", "openpgp"])
def placed(
    request: pytest.FixtureRequest,
    consign: Any,
    contract: Callable[..., Path],
    host: SandboxHost,
    desk_of_agency: Callable[[str], Agency],
    tmp_path: Path,
) -> tuple[Any, Agency, pd.DataFrame]:
    """A lender who has placed accounts with the agency, and the agency's shell."""
    suite = request.param
    agency = desk_of_agency(suite)
    gpg = suite == "openpgp"
    theirs = agency.folder / "for-the-lender"
    prints = agency.types(*(["keys-gpg"] if gpg else ["keys-age", "fingerprints-age"]))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", agency.folder / "keys" / "sftp"], check=True)

    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date()
    raw = debtors.portfolio(11, ROWS, "harbour", today)
    source = debtors.write(raw, tmp_path / "portfolio.csv")
    consign("init")
    consign("role", "grant", "li.wei", "portfolio_manager")
    consign("portfolio", "lender", "add", "harbour", "--name", "Harbour Consumer Finance")
    added = consign("agency", "add", "quayside", "--name", "Quayside Recoveries", "--suite", suite, "--json").json
    host.authorize("quayside", added["ssh_client_key"])
    host.authorize("quayside", (agency.folder / "keys" / "sftp.pub").read_text())
    consign("agency", "drop", "quayside", "--host", host.host, "--port", host.port, "--username",
            host.settings_for("quayside", "").username, "--host-key", host.host_key_line)  # fmt: skip
    keys = (theirs / "quayside.asc",) * 2 if gpg else (theirs / "quayside.age", theirs / "quayside.sign.pub")
    trusted = consign("agency", "keys", "trust", "quayside", "--encrypt", keys[0], "--verify", keys[1], "--json").json
    assert trusted["encrypt"] in prints
    assert trusted["verify"] in prints
    ours = consign("agency", "keys", "ours", suite, "--out", agency.folder / "keys", "--json").json
    shown = agency.types("lender-gpg" if gpg else "lender-age")
    assert ours["fingerprint"] in shown
    assert ours["encrypt_fingerprint"] in shown
    consign("agency", "contract", "quayside", "--lender", "harbour", "--terms", contract("QUAYSIDE-"),
            "--effective-from", today, "--share", 1)  # fmt: skip
    consign.env["CONSIGN_REQUIRE_CERTIFICATE"] = "false"  # test_from_zero_to_certified.py goes that way
    consign("agency", "state", "quayside", "certified")
    consign("agency", "state", "quayside", "live")
    consign("portfolio", "import", source, "--lender", "harbour", "--profile", "consign", "--as-of", today)
    plan = consign("plan", "create", "--lender", "harbour", "--name", "first", "--json").json["plan_id"]
    consign("plan", "submit", plan)
    consign("plan", "approve", plan, actor="li.wei")
    consign("plan", "send", plan)
    return consign, agency, raw


def opened(agency: Agency, kind: str) -> list[dict[str, str]]:
    """The rows of the newest package of that kind that the agency has opened."""
    (*_, package) = sorted((agency.folder / "open").glob(f"*.{kind}.*"))
    (table,) = package.glob("*.csv")
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def spoil(agency: Agency) -> None:
    """One bit of the sealed file changes on its way."""
    (sealed,) = [path for path in (agency.folder / "inbox").iterdir() if path.suffix in {".age", ".pgp"}]
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2] ^= 1
    sealed.write_bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_agency_opens_answers_and_is_understood_with_debian_tools_alone(
    placed: tuple[Any, Agency, pd.DataFrame],
) -> None:
    consign, agency, raw = placed
    ours = "gpg" if agency.suite == "openpgp" else "age"
    agency.types("pin", "fetch")
    spoil(agency)
    agency.types(f"open-{ours}", fails=True)
    assert not list((agency.folder / "open").glob("*/*.csv"))

    said = agency.types("fetch", f"open-{ours}", "check", "tidy")
    assert "accounts.csv: OK" in said
    accounts = opened(agency, "placement")
    assert len(accounts) == ROWS
    assert sorted(Decimal(row["balance"]) for row in accounts) == sorted(map(Decimal, raw["balance"]))
    assert {row["phone"] for row in accounts} <= set(raw["phone"])
    assert not {row["account"] for row in accounts} & set(raw["account_ref"])

    agency.types("acknowledge", "remit", "pack", f"seal-{ours}", "send")
    took = consign("collect", "--json").json
    assert (took["accepted"], took["refused"], took["lines"], took["lines_refused"]) == (2, 0, ROWS + 1, 0)

    consign("deliver")
    agency.types("fetch", f"open-{ours}", "check", "tidy")
    assert {row["outcome"] for row in opened(agency, "receipt")} == {"accepted"}


def test_both_languages_of_the_guide_say_the_same_commands() -> None:
    assert blocks(GUIDE) == blocks(GUIDE.with_name("for-agencies.zh.md"))
