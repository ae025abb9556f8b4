"""Known identities go through the whole loop, failures included, and are then searched for wherever they must not be.

Through the real Prefect engine: its database and files, every log, the notes of faults, what the program printed, the
store's clear columns, and the plaintext that the agency got. Each value is looked for as UTF-8, UTF-16, GB18030, base64
and hex.
"""

from __future__ import annotations

import base64
import sqlite3
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from flows import serving
from infra.sandbox import debtors
from infra.sandbox.agency import SandboxAgency
from infra.sandbox.host import new_key, sandbox_host
from infra.settings import Settings
from keys.keyring import Keyring
from keys.sealing import open_from

ROWS = 25
SEALED = (
    "account_ref",
    "name",
    "id_number",
    "phone",
    "phone_alt",
    "email",
    "address",
    "employer",
    "contact_name",
    "contact_phone",
)
WITHHELD = ("account_ref", "id_number", "email", "address", "employer", "contact_name", "contact_phone")
"""What the policy cn-default keeps from an agency that works by telephone."""


# -- the search --------------------------------------------------------------------------------------------------------

FORMS = ("HEX", "base64+0", "base64+1", "base64+2", "gb18030", "hex", "json", "utf-16-be", "utf-16-le", "utf-8")


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_what_is_planted_in_any_form(
    form: str, tmp_path: Path, search: Any, forms_of: Callable[[str], dict[str, bytes]]
) -> None:
    assert sorted(forms_of("13912345678")) == list(FORMS)
    noise = np.random.default_rng(5).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
    looking = search(["13912345678", "110101199003070038"])
    (tmp_path / "noise").write_bytes(noise)
    assert looking.below(tmp_path) == {}
    (tmp_path / "log").write_bytes(noise + forms_of("13912345678")[form] + noise)
    assert set(looking.below(tmp_path)) == {str(tmp_path / "log")}


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_the_search_finds_a_value_inside_a_longer_base64_text(before: str, tmp_path: Path, search: Any) -> None:
    (tmp_path / "cell").write_bytes(base64.b64encode(f"{before}上海市徐汇区学院路879号 and more".encode()))
    assert search(["上海市徐汇区学院路879号"]).below(tmp_path)


def test_the_search_opens_archives(tmp_path: Path, search: Any) -> None:
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sheet.xml", "<c>13912345678</c>" * 50)
    assert search(["13912345678"]).below(tmp_path)


# -- the loop ----------------------------------------------------------------------------------------------------------


def spoilt(raw: pd.DataFrame) -> pd.DataFrame:
    """The file with lines that cannot be taken, each with a value in a wrong place."""
    bad = raw.head(6).copy()
    bad["account_ref"] = [f"88{ref}" for ref in bad["account_ref"]]
    bad.loc[bad.index[0], "balance"] = bad["phone"].iloc[0] + "x"
    bad.loc[bad.index[1], "dpd"] = bad["id_number"].iloc[1]
    bad.loc[bad.index[2], "opened_on"] = bad["name"].iloc[2]
    bad.loc[bad.index[3], "currency"] = bad["address"].iloc[3]
    bad.loc[bad.index[4], "id_number"] = bad["id_number"].iloc[4][:-1] + "?"
    bad.loc[bad.index[5], "balance"] = "-" + bad["phone"].iloc[5]
    return pd.concat([raw, bad], ignore_index=True)


def misbehave(agency: SandboxAgency, raw: pd.DataFrame, day: Any, now: datetime) -> None:
    """The agency answers with values where none belong, with a file that was changed, and one with a foreign name."""
    agency.acknowledge(day, now)
    account = agency.book["account"]
    agency._send("activity", "harbour", day, now, pd.DataFrame({
        "account": [account[0], raw["id_number"][1], account[2], account[3]],
        "at": [raw["phone"][0], "2026-03-01T09:30:00+08:00", "2026-03-01T09:30:00+08:00", raw["account_ref"][3]],
        "channel": ["phone", "phone", raw["name"][2] + raw["address"][2], "phone"],
        "outcome": ["busy", "busy", "busy", raw["contact_phone"][3]],
    }))  # fmt: skip
    agency._send("complaint", "harbour", day, now, pd.DataFrame({
        "complaint_ref": ["r-1"], "account": [raw["account_ref"][4]], "received_on": [raw["address"][4]],
        "category": ["conduct"],
    }))  # fmt: skip
    whole = agency._send("activity", "harbour", day, now, pd.DataFrame({
        "account": [account[0]], "at": ["2026-03-01T09:30:00+08:00"], "channel": ["phone"], "outcome": ["busy"],
    }))  # fmt: skip
    assert whole is not None
    sealed = agency.outbox / whole
    content = bytearray(sealed.read_bytes())
    content[-20] ^= 1
    sealed.write_bytes(content)
    for suffix in (".age", ".age.sig") if agency.suite == "age" else (".pgp",):
        (agency.outbox / f"{raw['phone'][5]} {raw['name'][5]}.zip{suffix}").write_bytes(b"not sealed at all")


def taken_in(consign: Any, source: Path, today: Any) -> None:
    """The portfolio: first refused whole, then without its bad lines."""
    consign("portfolio", "lender", "add", "harbour", "--name", "Harbour")
    take = ("portfolio", "import", source, "--lender", "harbour", "--profile", "consign", "--as-of", today)
    consign(*take, exits=3)
    consign(*take, "--threshold", "0.3")
    consign("portfolio", "rejects", 1)


def onboarded(consign: Any, host: Any, suite: str, terms: Path, today: Any) -> Keyring:
    """The agency is live, but another server's host key is pinned. Returns its keyring."""
    made = consign("sandbox", "agency", "quayside", "--suite", suite, "--json").json
    added = consign("agency", "add", "quayside", "--name", "Quayside", "--suite", suite, "--json").json
    host.authorize("quayside", added["ssh_client_key"])
    consign("agency", "drop", "quayside", "--host", host.host, "--port", host.port,
            "--username", host.settings_for("quayside", "").username, "--host-key", new_key()[1])  # fmt: skip
    consign("agency", "keys", "trust", "quayside", "--encrypt", consign.folder / made["encrypt"],
            "--verify", consign.folder / made["verify"])  # fmt: skip
    consign("agency", "contract", "quayside", "--lender", "harbour", "--terms", terms,
            "--effective-from", today, "--share", 1)  # fmt: skip
    consign.env["CONSIGN_REQUIRE_CERTIFICATE"] = "false"  # test_from_zero_to_certified.py goes that way
    consign("agency", "state", "quayside", "certified")
    consign("agency", "state", "quayside", "live")
    root = consign.folder / made["root"]
    return Keyring.open(root / "keys" / "keyring.json", key_file=root / "keys" / "root.key")


def placed(consign: Any, host_key: str) -> None:
    """Placed at last: first a table of the store is missing, then it is another server."""
    consign("plan", "create", "--lender", "harbour", "--name", "first")
    consign("plan", "submit", 1)
    consign("plan", "approve", 1, actor="li.wei")
    with sqlite3.connect(consign.home / "consign.sqlite") as store:
        store.execute("ALTER TABLE disclosure RENAME TO disclosure_away")
    consign("plan", "send", 1, exits=1)
    with sqlite3.connect(consign.home / "consign.sqlite") as store:
        store.execute("ALTER TABLE disclosure_away RENAME TO disclosure")
    consign("plan", "send", 1, exits=5)
    added = consign("agency", "host-key", "add", "quayside", host_key, "--json").json
    consign("agency", "host-key", "approve", "quayside", added["fingerprint"], actor="li.wei")
    assert consign("plan", "send", 1, "--json").json["files_delivered"] == 1


def collected(consign: Any, agency: SandboxAgency, raw: pd.DataFrame, today: Any) -> None:
    """What the agency left is judged, and answered."""
    now = datetime.now(UTC)
    agency.open_mail(now)
    misbehave(agency, raw, today, now)
    took = consign("collect", "--json", exits=3).json
    assert (took["accepted"], took["refused"], took["lines_refused"]) == (3, 2, 5)
    consign("deliver")
    consign("file", "list")
    consign("audit", "verify")


def values(raw: pd.DataFrame, columns: Iterable[str]) -> set[str]:
    """Every value of the columns."""
    return {str(value) for column in columns for value in raw[column].dropna()}


@pytest.mark.parametrize("suite", ["age", "openpgp"])
@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.xdist_group("engine")
def test_no_withheld_value_is_anywhere_but_in_the_vault(
    suite: str,
    consign: Any,
    contract: Callable[..., Path],
    tmp_path: Path,
    needs: Callable[[str], Path],
    search: Any,
) -> None:
    needs("gpg")
    consign.engine = "prefect"
    home = consign.home
    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date()
    raw = debtors.portfolio(23, ROWS, "harbour", today)
    raw["contact_phone"] = raw["contact_phone"].fillna("15400000001")
    source = debtors.write(spoilt(raw), tmp_path / "portfolio.csv")
    consign("init")
    for role in ("portfolio_manager", "operations"):
        consign("role", "grant", "li.wei", role)
    with serving.server(Settings(home=home, engine="prefect")), sandbox_host(tmp_path / "server", ["quayside"]) as host:
        taken_in(consign, source, today)
        theirs = onboarded(consign, host, suite, contract("QUAYSIDE-"), today)
        placed(consign, host.host_key_line)
        agency = SandboxAgency("quayside", "lender", suite, host.directory("quayside"), theirs, seed=1)
        collected(consign, agency, raw, today)

    sealed = values(raw, SEALED)
    foreign_name = {raw["phone"][5], raw["name"][5]}  # a file's name is the agency's word, and is kept as evidence
    listed = search(sealed - foreign_name)
    assert listed.below(home) == {}
    for folder in ("prefect", "logs", "faults", "rejects", "scratch"):
        assert search(sealed).below(home / folder) == {}
    assert (home / "prefect" / "prefect.db").stat().st_size > 100_000
    assert any((home / "faults").iterdir())
    talk = tmp_path / "talk"
    talk.mkdir()
    for number, said in enumerate(consign.talk):
        (talk / str(number)).write_text(said.out + said.err, encoding="utf-8")
    assert listed.below(talk) == {}

    plain = tmp_path / "plain"
    plain.mkdir()
    for path in [path for path in agency.inbox.iterdir() if path.suffix in {".age", ".pgp"}]:
        open_from(theirs, "lender", suite, path, plain / path.stem, datetime.now(UTC))
    released = " ".join(raw["name"])
    assert len(list(plain.iterdir())) >= 5
    assert search(value for value in values(raw, WITHHELD) if value not in released).below(plain) == {}
    assert search(raw["phone"]).below(plain), "what is released is there: the search looks at the right files"
