"""Bad input of every kind: a clear error or a refused file, nothing lost, nothing sent twice, no plaintext left.

Through the command line, in this process. What a message must do: name what and where, say what to do, and repeat no
value. The exit codes are those of DESIGN: 2 usage, 3 findings, 4 configuration, 5 remote, 6 refused by policy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from console.cli.main import app
from infra import onboarding
from infra.sandbox import debtors
from infra.sandbox.agency import SandboxAgency
from infra.sandbox.paramiko_host import ParamikoHost
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk
from keys.keyring import Keyring
from keys.sealing import open_from, seal_for
from models.tables import Account, InboundFile, Placement, Transmission

START = date(2026, 1, 1)
ROWS = 30
USAGE, FINDINGS, CONFIGURATION, REMOTE, POLICY = 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Said:
    """What the command line answered."""

    exit_code: int
    out: str
    err: str

    def tells(self, *words: str) -> None:
        """The message on stderr has these words, and says what to do next."""
        for word in words:
            assert word in self.err, self.err
        assert "→" in self.err, self.err


def consign(*words: object) -> Said:
    """Run the command line in this process, at the desk that is seated."""
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="consign")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Said(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One lender, and one agency on a real SFTP host."""
    cast = (Cast("quayside", "Quayside Recoveries", share=1.0),)
    patience: dict[str, Any] = {"stall_timeout": 1.5, "connect_timeout": 5.0, "delivery_attempts": 1}
    with open_world(
        tmp_path / "home", seed=7, start=START, cast=cast, lenders={"harbour": "Harbour"}, engine="direct", **patience
    ) as opened:
        yield opened


@pytest.fixture
def raw() -> pd.DataFrame:
    """The lender's file, sound."""
    return debtors.portfolio(3, ROWS, "harbour", START)


def taken(file: Path, *more: object) -> Said:
    """The file, imported."""
    return consign(
        "portfolio", "import", file, "--lender", "harbour", "--profile", "consign", "--as-of", START, "--json", *more
    )


def rows(world: World, row: Any, **where: str) -> int:
    """How many rows the table has."""
    table = bulk.table_of(row)
    chosen = select(func.count()).select_from(table).where(*(table.c[name] == value for name, value in where.items()))
    with world.desk.database.read() as connection:
        return int(connection.execute(chosen).scalar_one())


def no_plaintext(world: World) -> None:
    """Nothing unsealed is left where it was worked on."""
    assert list(world.desk.folder("scratch").iterdir()) == []
    for folder in ("outbox", "inbox"):
        assert not [path for path in world.desk.folder(folder).rglob("*") if path.suffix in {".zip", ".csv", ".part"}]


# -- what the lender hands in ------------------------------------------------------------------------------------------


def header(old: str, new: str) -> Callable[[pd.DataFrame], bytes]:
    return lambda raw: raw.rename(columns={old: new}).to_csv(index=False).encode()


def cell(name: str, value: str) -> Callable[[pd.DataFrame], bytes]:
    def mangled(raw: pd.DataFrame) -> bytes:
        raw = raw.copy()
        raw.loc[4, name] = value
        return raw.to_csv(index=False).encode()

    return mangled


WHOLE: dict[str, tuple[Callable[[pd.DataFrame], bytes], str]] = {
    "a column is missing": (lambda raw: raw.drop(columns="balance").to_csv(index=False).encode(), "balance"),
    "a column has another name": (header("balance", "Balance due"), "balance"),
    "a column is there twice": (header("fees", "balance"), "balance"),
    "Chinese Excel's encoding": (lambda raw: raw.to_csv(index=False).encode("gb18030"), "utf-8"),
    "UTF-16": (lambda raw: raw.to_csv(index=False).encode("utf-16"), "utf-8"),
    "cut in the middle of a character": (lambda raw: raw.to_csv(index=False).encode()[:700] + b"\xe4", ""),
    "nothing": (lambda _: b"", ""),
}
LINES = {
    "a long number went through a spreadsheet": (cell("account_ref", "2.49E+17"), "spreadsheet_number"),
    "an ID number went through a spreadsheet": (cell("id_number", "1.10101E+17"), "spreadsheet_number"),
    "a date went through a spreadsheet": (cell("opened_on", "45658"), "spreadsheet_date"),
    "an error of a spreadsheet": (cell("balance", "#N/A"), "spreadsheet_error"),
    "a negative balance": (cell("balance", "-120.00"), "negative_balance"),
    "an absurd balance": (cell("balance", "123456789012.00"), "absurd_balance"),
    "more digits than money has": (cell("balance", "12345678901234567890.00"), "amount_too_large"),
    "half cents": (cell("balance", "10.005"), "too_many_decimals"),
    "negative days": (cell("dpd", "-3"), "dpd_out_of_range"),
    "no such currency": (cell("currency", "RMB"), "not_currency"),
}


def test_a_file_that_cannot_be_read_is_refused_whole_and_says_why(
    world: World, raw: pd.DataFrame, tmp_path: Path
) -> None:
    for name, (mangle, word) in WHOLE.items():
        file = tmp_path / "portfolio.csv"
        file.write_bytes(mangle(raw))
        said = taken(file)
        assert said.exit_code == FINDINGS, f"{name}: {said.err}"
        said.tells(word)
        assert rows(world, Account) == 0, name
        assert not any(ref in said.err for ref in raw["account_ref"])
    no_plaintext(world)


def test_a_line_that_cannot_be_right_is_refused_with_line_field_code_and_fix(
    world: World, raw: pd.DataFrame, tmp_path: Path
) -> None:
    for name, (mangle, code) in LINES.items():
        file = tmp_path / "portfolio.csv"
        file.write_bytes(mangle(raw))
        said = taken(file)
        assert said.exit_code == FINDINGS, name
        report = json.loads(said.out)
        assert report["refusals"] == {code: 1}, name
        assert rows(world, Account) == 0, name
        listed = json.loads(consign("portfolio", "rejects", report["portfolio_id"], "--json").out)
        assert "fix" in json.dumps(listed)
        told = pd.read_csv(report["rejects_path"])
        refused = told[told["outcome"] == "refused"]
        assert refused["line"].tolist() == [5], name
        assert refused["fix"].notna().all(), name


def test_columns_in_another_order_change_nothing(world: World, raw: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "portfolio.csv"
    file.write_text(raw[raw.columns[::-1]].to_csv(index=False), encoding="utf-8")
    assert taken(file).exit_code == 0
    with world.desk.database.read() as connection:
        table = bulk.table_of(Account)
        owed = connection.execute(select(func.sum(table.c.balance_minor))).scalar_one()
    assert owed == raw["balance"].str.replace(".", "").astype("int64").sum()


def test_names_that_nobody_has_are_usage_errors(world: World, raw: pd.DataFrame, tmp_path: Path) -> None:
    file = debtors.write(raw, tmp_path / "portfolio.csv")
    for words in (
        ("portfolio", "import", file, "--lender", "nobody", "--profile", "consign", "--as-of", START),
        ("portfolio", "import", file, "--lender", "harbour", "--profile", "nothing", "--as-of", START),
        ("portfolio", "import", tmp_path / "gone.csv", "--lender", "harbour", "--profile", "consign", "--as-of", START),
        ("collect", "nobody"),
        ("agency", "state", "nobody", "live"),
        ("place", 99),
        ("plan", "show", 99),
    ):
        said = consign(*words)
        assert said.exit_code == USAGE, f"{words}: {said.exit_code} {said.err}"
        said.tells()
    assert rows(world, Account) == 0


GARBAGE = "this is not what was asked for\n"


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        (FINDINGS, ("recon", "import-statement", "FILE", "--lender", "harbour")),
        (CONFIGURATION, ("agency", "contract", "quayside", "--lender", "harbour", "--terms", "FILE",
                         "--effective-from", "2026-02-01")),
        (CONFIGURATION, ("agency", "keys", "trust", "quayside", "--encrypt", "FILE", "--verify", "FILE")),
        (CONFIGURATION, ("portfolio", "import", "FILE", "--lender", "harbour", "--profile", "FILE", "--as-of", START)),
        (FINDINGS, ("file", "check", "FILE", "--kind", "remittance")),
    ],
    ids=["bank statement", "contract", "public key", "profile", "file to check"],
)  # fmt: skip
def test_a_file_that_is_something_else_is_said_to_be_so(
    world: World, exits: int, words: tuple[object, ...], tmp_path: Path
) -> None:
    file = tmp_path / "something.toml"
    file.write_text(GARBAGE, encoding="utf-8")
    said = consign(*(file if word == "FILE" else word for word in words))
    assert said.exit_code == exits, said.err
    said.tells()
    no_plaintext(world)


# -- what agencies send ------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(world: World, raw: pd.DataFrame, tmp_path: Path) -> int:
    """An approved plan over the accounts."""
    assert taken(debtors.write(raw, tmp_path / "portfolio.csv")).exit_code == 0
    made = json.loads(consign("plan", "create", "--lender", "harbour", "--name", "first", "--json").out)["plan_id"]
    world.desk.actor = "chen.yu"
    assert consign("plan", "submit", made).exit_code == 0
    world.desk.actor = "li.wei"
    assert consign("plan", "approve", made).exit_code == 0
    return int(made)


@pytest.fixture
def agency(world: World, plan: int) -> SandboxAgency:
    """The agency, with its accounts, having acknowledged nothing yet."""
    assert consign("plan", "send", plan).exit_code == 0
    world.clock.turn(date(2026, 1, 3))
    agency = world.agencies["quayside"]
    agency.open_mail(world.clock.now)
    return agency


def contact(agency: SandboxAgency, world: World, **more: Any) -> Path:
    """A sound file of one contact, in the agency's outbox."""
    line = {
        "account": [agency.book["account"][0]],
        "at": ["2026-01-03T09:30:00+08:00"],
        "channel": ["phone"],
        "outcome": ["busy"],
    }
    name = agency._send("activity", "harbour", date(2026, 1, 3), world.clock.now, pd.DataFrame(line | more))
    assert name is not None
    return agency.outbox / name


def refusal(world: World) -> str:
    """Why the last file was refused."""
    table = bulk.table_of(InboundFile)
    with world.desk.database.read() as connection:
        row = connection.execute(select(table).order_by(table.c.file_id.desc())).first()
    assert row is not None
    assert row.refusal_fix or row.refusal_code is None
    assert (world.desk.folder("inbox") / row.stored_path).exists(), "what came is kept as evidence"
    return str(row.refusal_code)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def strange(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def unsigned(path: Path) -> None:
    path.with_name(f"{path.name}.sig").write_text("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")


def other_agency(path: Path) -> None:
    for one in (path.with_name(f"{path.name}.sig"), path):
        one.rename(one.with_name(one.name.replace("quayside", "northgate")))


def other_kind(path: Path) -> None:
    for one in (path.with_name(f"{path.name}.sig"), path):
        one.rename(one.with_name(one.name.replace("activity", "placement")))


def foreign_name(path: Path) -> None:
    for one in (path.with_name(f"{path.name}.sig"), path):
        one.rename(one.with_name(one.name.replace(path.name, "Report (final) 2.xlsx")))


SPOILT = {
    "truncated": (truncate, {"bad_signature"}),
    "tampered": (tamper, {"bad_signature"}),
    "not sealed at all": (strange, {"tampered"}),
    "a signature that is none": (unsigned, {"bad_signature"}),
    "another agency's": (other_agency, {"wrong_agency"}),
    "a kind that agencies do not send": (other_kind, {"wrong_kind"}),
    "a foreign name": (foreign_name, {"bad_name"}),
}


def test_a_spoilt_or_foreign_file_is_refused_kept_and_answered_and_a_sound_one_follows(
    world: World, agency: SandboxAgency
) -> None:
    for name, (spoil, codes) in SPOILT.items():
        spoil(contact(agency, world))
        said = consign("collect", "--json")
        assert said.exit_code == FINDINGS, f"{name}: {said.err}"
        said.tells("refused")
        assert json.loads(said.out)["refused"] == 1, name
        assert refusal(world) in codes, name
        no_plaintext(world)
    contact(agency, world)
    assert consign("collect").exit_code == 0
    shown = consign("file", "list", "--refused", "--json").out
    assert all(code in shown for _, codes in SPOILT.values() for code in codes)


def test_a_half_written_file_is_left_alone_until_it_is_whole(world: World, agency: SandboxAgency) -> None:
    path = contact(agency, world)
    signature = path.with_name(f"{path.name}.sig")
    whole = path.read_bytes()
    path.rename(path.with_name(f"{path.name}.part"))
    assert json.loads(consign("collect", "--json").out)["accepted"] == 0
    path.with_name(f"{path.name}.part").unlink()
    kept = signature.read_bytes()
    signature.unlink()
    path.write_bytes(whole)
    assert json.loads(consign("collect", "--json").out)["accepted"] == 0
    signature.write_bytes(kept)
    assert json.loads(consign("collect", "--json").out)["accepted"] == 1


def test_a_replayed_file_counts_once_under_whatever_name_number_or_seal(world: World, agency: SandboxAgency) -> None:
    path = contact(agency, world)
    copy = path.parent.parent / "copy"
    shutil.copytree(path.parent, copy)
    assert consign("collect").exit_code == 0

    def again(name: str) -> dict[str, Any]:
        for suffix in (".sig", ""):
            shutil.copy(copy / f"{path.name}{suffix}", path.parent / f"{name}{suffix}")
        return dict(json.loads(consign("collect", "--json").out))

    assert again(path.name)["duplicates"] == 1
    assert again(path.name.replace("000001", "000009"))["duplicates"] == 1
    # the same package sealed anew: other bytes, the same content
    plain = copy / "plain"
    open_from(world.desk.keyring, "quayside", "age", copy / path.name, plain, world.clock.now)
    seal_for(agency.keyring, "lender", "age", plain, copy / path.name, world.clock.now)
    assert again(path.name)["refused"] == 1
    assert refusal(world) in {"replayed", "sequence_repeat"}
    assert rows(world, InboundFile, state="accepted") == 1


def test_a_file_by_a_key_that_we_were_not_told_of_is_refused(
    world: World, agency: SandboxAgency, tmp_path: Path
) -> None:
    ours = world.desk.keyring.public_keys("age", world.clock.now)
    stranger = Keyring.create(tmp_path / "stranger.json", key_file=tmp_path / "stranger.key")
    stranger.new_own_keys("age", world.clock.now)
    stranger.trust("lender", "age", encrypt=ours["encrypt"], verify=ours["verify"], now=world.clock.now)
    own, agency.keyring = agency.keyring, stranger
    contact(agency, world)
    assert consign("collect").exit_code == FINDINGS
    assert refusal(world) == "wrong_signer"
    agency.keyring = own
    world.clock.now += timedelta(days=360)
    assert consign("keys", "rotate", "own", "age").exit_code == 0
    ours = world.desk.keyring.public_keys("age", world.clock.now)
    agency.keyring.trust("lender", "age", encrypt=ours["encrypt"], verify=ours["verify"], now=world.clock.now)
    agency.keyring.new_own_keys("age", world.clock.now)  # which nobody told us of
    contact(agency, world)
    assert consign("collect").exit_code == FINDINGS
    assert refusal(world) == "wrong_signer"
    no_plaintext(world)


def test_a_file_by_an_expired_key_is_refused_and_no_answer_is_sealed_to_it(world: World, agency: SandboxAgency) -> None:
    world.clock.now += timedelta(days=360)
    assert consign("keys", "rotate", "own", "age", "--from", "now").exit_code == 0
    said = consign("agency", "credential", "rotate", "quayside", "--json")
    world.host.authorize("quayside", json.loads(said.out)["line"])
    ours = world.desk.keyring.public_keys("age", world.clock.now)
    agency.keyring.trust("lender", "age", encrypt=ours["encrypt"], verify=ours["verify"], now=world.clock.now)
    path = contact(agency, world)
    world.clock.now += timedelta(days=10)
    said = consign("collect")
    assert said.exit_code == POLICY
    said.tells("quayside", "expired")
    assert refusal(world) == "key_expired"
    assert path.name not in {one.name for one in path.parent.iterdir()}
    no_plaintext(world)


def test_lines_that_cannot_be_right_are_refused_one_by_one(world: World, agency: SandboxAgency) -> None:
    accounts = agency.book["account"]
    contact(
        agency, world, account=[accounts[0], "6.2E+17", "G" + "0" * 26, accounts[1], accounts[2]],
        at=["2026-01-03T09:30:00+08:00"] * 3 + ["2026-01-03", "2026-01-03T09:30:00+08:00"],
        channel=["phone"] * 4 + ["pigeon"], outcome=["busy"] * 5,
    )  # fmt: skip
    said = consign("collect", "--json")
    assert said.exit_code == FINDINGS
    report = json.loads(said.out)
    assert (report["accepted"], report["lines"], report["lines_refused"]) == (1, 5, 4)


# -- what goes out -----------------------------------------------------------------------------------------------------


def delivered_once(world: World, inbox: Path) -> None:
    """The placement is in the agency's directory, once; nothing else and nothing unfinished."""
    names = [path.name for path in inbox.iterdir() if ".placement." in path.name]
    assert sorted(name.split(".")[-1] for name in names) == ["age", "sig"]
    assert rows(world, Transmission, state="delivered") == 1
    assert rows(world, Placement, state="placed") == ROWS
    no_plaintext(world)


def test_a_server_that_hangs_or_is_full_is_given_up_and_the_next_run_delivers_once(
    world: World, plan: int, tmp_path: Path
) -> None:
    with ParamikoHost(tmp_path / "elsewhere", ["quayside"]) as host:
        host.authorize("quayside", world.desk.keyring.ssh_client_public("quayside", world.clock.now))
        onboarding.set_drop(world.desk, "quayside", {
            "kind": "sftp", "host": host.host, "port": host.port, "username": "quayside",
            "host_keys": [host.host_key_line],
        })  # fmt: skip
        for phase in ("banner", "auth", "write", "rename"):
            host.faults.hang_on = phase
            assert consign("agency", "circuit", "quayside", "--reset").exit_code == 0  # else it is left in peace
            began = datetime.now(UTC)
            said = consign("plan", "send", plan)
            assert said.exit_code == REMOTE, f"{phase}: {said.err}"
            said.tells(f"{host.host}:{host.port}")
            assert datetime.now(UTC) - began < timedelta(seconds=60), phase
            assert rows(world, Transmission, state="delivered") == 0
            no_plaintext(world)
        host.faults.hang_on = ""
        assert consign("agency", "circuit", "quayside", "--reset").exit_code == 0
        host.faults.room = 100
        said = consign("plan", "send", plan)
        assert said.exit_code == REMOTE
        said.tells("room")
        host.faults.room = None
        assert consign("plan", "send", plan).exit_code == 0
        assert consign("plan", "send", plan).exit_code == 0
        delivered_once(world, host.directory("quayside") / "to_agency")


def test_another_server_than_the_pinned_one_gets_nothing(world: World, plan: int) -> None:
    agency = world.agencies["quayside"]
    with world.desk.database.read() as connection:
        from infra.store import exchange

        reach = json.loads(exchange.agency(connection, "quayside").drop)
    right = reach["host_keys"]
    reach["host_keys"] = [agency_key(world)]
    onboarding.set_drop(world.desk, "quayside", reach)
    said = consign("plan", "send", plan)
    assert said.exit_code == REMOTE
    said.tells("host key", "not pinned")
    assert list(agency.inbox.iterdir()) == []
    onboarding.set_drop(world.desk, "quayside", reach | {"host_keys": right})
    assert consign("plan", "send", plan).exit_code == 0
    delivered_once(world, agency.inbox)


def agency_key(world: World) -> str:
    """A public key that is not the host's."""
    return world.desk.keyring.ssh_client_public("somebody-else", world.clock.now)


def test_nothing_is_sealed_to_a_key_that_is_revoked_or_expired(world: World, plan: int) -> None:
    agency = world.agencies["quayside"]
    world.desk.keyring.revoke("quayside", "1", world.clock.now)
    said = consign("plan", "send", plan)
    assert said.exit_code == POLICY, said.err
    said.tells("quayside")
    assert list(agency.inbox.iterdir()) == []
    assert rows(world, Transmission, state="sealed") == 0
    no_plaintext(world)
    agency.keyring.new_own_keys("age", world.clock.now)
    public = agency.keyring.public_keys("age", world.clock.now)
    onboarding.trust(world.desk, "quayside", public["encrypt"], public["verify"])
    assert consign("plan", "send", plan).exit_code == 0
    delivered_once(world, agency.inbox)


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """The folder of sealed files is on a disk of a few kilobytes; skipped where none can be mounted."""
    folder = world.desk.folder("outbox")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k,mode=700", "none", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a disk of a few kilobytes cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def test_a_full_disk_is_said_to_be_full_and_the_next_run_delivers_once(
    world: World, plan: int, small_disk: Path
) -> None:
    agency = world.agencies["quayside"]
    said = consign("plan", "send", plan)
    assert said.exit_code == 1
    said.tells("disk", "full")
    assert list(agency.inbox.iterdir()) == []
    assert rows(world, Transmission, state="delivered") == 0
    assert list(world.desk.folder("scratch").iterdir()) == []
    subprocess.run(["umount", str(small_disk)], check=True)
    assert consign("plan", "send", plan).exit_code == 0
    delivered_once(world, agency.inbox)
