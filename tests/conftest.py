"""What every test stands on: a clean environment, the programs it may call, and a store of either kind.

Nothing of the person who runs the tests comes in (home folder, agents, settings), and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.wiring import Desk
    from models.release import Policy

ROOT = Path(__file__).resolve().parent.parent
KEPT = {"CONSIGN_SHARED_DATA"}
"""The variables of ours that a tester may set; all other CONSIGN_* and PREFECT_* are a person's own settings."""
FOREIGN = ("CONSIGN_", "PREFECT_", "PG", "XDG_", "GNUPGHOME", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "TYPER_", "FORCE_COLOR")
BASE = "TESTS_OF_CONSIGN"
"""Names the run's folder to the workers of pytest-xdist, which inherit it."""
CHOSEN: dict[str, str] = {}
"""The environment as it was found."""
POSTGRES_START_ATTEMPTS = 3
"""A free port may be taken between finding it and binding it."""


class Needs(Protocol):
    """Asks for a program."""

    def __call__(self, program: str) -> Path:
        """Its path; without it the test is skipped, and under CI=true it fails."""


def pytest_configure(config: pytest.Config) -> None:
    """The environment is ours alone, with a home folder per worker.

    Before collection: Prefect reads its settings when it is imported.
    """
    CHOSEN.update(os.environ)
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        os.environ[BASE] = tempfile.mkdtemp(prefix="consign-tests-")
    for name in [name for name in os.environ if name.startswith(FOREIGN) and name not in KEPT]:
        del os.environ[name]
    home = Path(os.environ[BASE]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
    home.mkdir(mode=0o700)
    os.environ.update(
        HOME=str(home),
        PREFECT_HOME=str(home / "prefect"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        NO_COLOR="1",
        COLUMNS="120",
        TZ="UTC",
    )
    # Derandomised, so that a red run is red again; without a deadline, for the machine is shared.
    hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
    hypothesis.settings.register_profile(
        "dev",
        deadline=None,
        database=hypothesis.database.DirectoryBasedExampleDatabase(ROOT / ".hypothesis" / "examples"),
    )
    hypothesis.settings.load_profile("ci" if in_ci() else "dev")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's folder is gone and its PostgreSQL stopped; the environment is as it was."""
    if not hasattr(config, "workerinput"):
        base = Path(os.environ[BASE])
        with contextlib.suppress(FileNotFoundError):
            Cluster.from_note(base / "postgres.json").stop()
        shutil.rmtree(base, ignore_errors=True)
    os.environ.clear()
    os.environ.update(CHOSEN)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests counted is printed, whether they passed or not, and whichever worker ran them."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, counts in getattr(report, "user_properties", []):
            if name == "counts":
                terminalreporter.section(report.nodeid)
                terminalreporter.write_line(str(counts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/acceptance carries the marker, so that nobody forgets it."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "acceptance"):
            item.add_marker("acceptance")


def in_ci() -> bool:
    """Whether a missing part of the machine is a failure instead of a gap."""
    return os.environ.get("CI") == "true"


def program_path(program: str) -> Path | None:
    """Where the program lies, looking where Debian puts servers too; None where it does not."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    places += map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    found = shutil.which(program, path=os.pathsep.join(places))
    return Path(found) if found else None


@pytest.fixture(scope="session")
def needs() -> Needs:
    """`needs("sshd")` is the program's path; the test is skipped without it, and under CI=true it fails."""

    def ask(program: str) -> Path:
        path = program_path(program)
        if path is not None:
            return path
        reason = f"{program} is not installed; infra/setup/debian_packages.sh brings it"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)

    return ask


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets that runs on real input use; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CONSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no public data sets here; CONSIGN_SHARED_DATA names their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in an empty folder: no consign.toml is found, and no var/ appears in the tree."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(autouse=True)
def _settings_read_anew() -> None:
    """A test that sets CONSIGN_* sees it, and the next one does not."""
    if module := sys.modules.get("infra.settings"):
        module.settings.cache_clear()


class PutInForce(Protocol):
    """Has one person propose a release policy, and another one approve it."""

    def __call__(self, desk: Desk, text: str) -> Policy:
        """The policy, in force in the desk's store."""


@pytest.fixture
def policy_in_force(tmp_path: Path) -> PutInForce:
    """`policy_in_force(desk, toml)` is the policy, which counts from now on."""
    from infra import policies
    from infra.wiring import Desk

    def put(desk: Desk, text: str) -> Policy:
        file = tmp_path / "proposed.toml"
        file.write_text(text, encoding="utf-8")
        author, reviewer = (Desk(desk.settings, clock=desk.clock, actor=actor) for actor in ("author", "reviewer"))
        author.database = reviewer.database = desk.database
        made = policies.propose(author, file)
        return policies.approve(reviewer, f"{made.name}@{made.version}")

    return put


class Cluster:
    """A PostgreSQL of this run alone: in its own folder, on loopback, without fsync, behind a random password."""

    def __init__(self, folder: Path, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://consign:{self.password}@127.0.0.1:{self.port}/{database}"

    @classmethod
    def from_note(cls, note: Path) -> Cluster:
        """The cluster that a worker of this run started; FileNotFoundError where none did."""
        told = json.loads(note.read_text())
        return cls(Path(told["folder"]), told["port"], told["password"])

    @classmethod
    def shared(cls, note: Path) -> Cluster:
        """The run's one cluster: the first worker that asks starts it, the others wait and read the note."""
        with note.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                return cls.from_note(note)
            cluster = cls.started()
            note.touch(mode=0o600)
            note.write_text(
                json.dumps({"folder": str(cluster.folder), "port": cluster.port, "password": cluster.password})
            )
            return cluster

    @classmethod
    def started(cls) -> Cluster:
        """A fresh cluster that answers. PostgreSQL does not run as root: there it runs as its own user."""
        folder = Path(tempfile.mkdtemp(prefix="consign-pg-"))
        password = secrets.token_urlsafe(16)
        (folder / "password").write_text(password)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            os.chown(folder / "password", owner.pw_uid, owner.pw_gid)
        cluster = cls(folder, 0, password)
        cluster._run(
            "initdb", "-D", "store", "-U", "consign", "--pwfile=password", "--auth=scram-sha-256", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip
        for attempt in range(1, POSTGRES_START_ATTEMPTS + 1):
            cluster.port = free_port()
            settings = {
                "port": cluster.port,
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": folder,
                "max_connections": 60,
                "shared_buffers": "64MB",
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
            }
            with (folder / "store" / "postgresql.conf").open("a") as conf:
                conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
            try:
                cluster._run("pg_ctl", "-D", "store", "-l", "log", "-w", "-t", "60", "start")
            except subprocess.CalledProcessError:
                if attempt == POSTGRES_START_ATTEMPTS:
                    raise
            else:
                break
        return cluster

    def stop(self) -> None:
        """It no longer runs, and its folder is gone."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-D", "store", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        path = program_path(program)
        assert path is not None, program
        as_root = os.geteuid() == 0
        # to a file: the server inherits the descriptor, and a pipe would wait for the server's end
        with (self.folder / "talk").open("a") as talk:
            subprocess.run(
                [path, *arguments],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=talk,
                stderr=talk,
                check=True,
                timeout=90,
                user="postgres" if as_root else None,
                group="postgres" if as_root else None,
                extra_groups=[] if as_root else None,
            )


def free_port() -> int:
    """A TCP port of loopback that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_cluster(needs: Needs) -> Cluster:
    """The run's PostgreSQL, shared by the workers; gone when the run ends."""
    needs("initdb")
    return Cluster.shared(Path(os.environ[BASE]) / "postgres.json")


@contextlib.contextmanager
def fresh_database(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards whoever is still connected."""
    import psycopg

    name = f"t_{secrets.token_hex(6)}"
    admin = cluster.url("postgres").replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield cluster.url(name)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """The URL of a PostgreSQL database of this worker's own; it lives as long as the run."""
    with fresh_database(postgres_cluster) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    with fresh_database(postgres_cluster) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of this test's own: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'consign.sqlite'}"
        return
    with fresh_database(request.getfixturevalue("postgres_cluster")) as url:
        yield url


PEAK = """
def peak_kb():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
"""


@pytest.fixture(scope="session")
def peak_in_child() -> str:
    """Python text for a child process: `peak_kb()` says the most memory it has held, in kibibytes.

    Not getrusage's `ru_maxrss`: that begins at what the parent held when it forked, so that a large test process would
    fail every child, and hide what the child itself adds.
    """
    return PEAK


@pytest.fixture(scope="session")
def payers() -> Callable[[Desk], None]:
    """Fills a store with a lender's year: 2,400 accounts placed over eleven months and 600 that nobody has.

    Whether one of harbour's accounts was paid follows from its dpd, balance and product, and from chance.
    """
    return _paying


def _paying(desk: Desk) -> None:
    """The store of `payers`."""
    import numpy as np
    import pandas as pd
    from scipy.special import expit

    from infra.store.bulk import append
    from models.tables import Account, Activity, Placement, RemittanceLine

    placed, waiting, months, first = 2_400, 600, 11, pd.Timestamp("2025-03-01")
    rng = np.random.default_rng(11)
    ids = np.arange(1, placed + waiting + 1)
    dpd, balance = rng.integers(5, 300, len(ids)), np.exp(rng.normal(9, 0.8, len(ids)))
    product = rng.choice(["card", "loan"], len(ids))
    chance = expit(0.4 - 0.008 * (dpd - 100) - 0.4 * (np.log(balance) - 9) + 0.5 * (product == "card"))
    out = ids <= placed
    placed_on = first + pd.to_timedelta(np.sort(rng.integers(0, months, placed)) * 30, unit="D")
    minor = (balance * 100).round().astype("int64")
    facts = pd.DataFrame({
        "lender": "harbour", "debtor_id": ids, "account_id": ids, "currency": "CNY", "dpd": dpd, "bucket": "M2",
        "balance_minor": minor,
    })  # fmt: skip
    account = facts.assign(
        ref_index=ids.astype(str), portfolio_id=1, product=product, as_of=first, original_minor=minor * 2,
        region=pd.Series(rng.choice(["310115", "440305", "510104"], len(ids)), dtype="str"), rounds=out.astype("int64"),
        opened_on=pd.Series([*placed_on, *[pd.Timestamp("2026-05-02")] * waiting])
        - pd.Series(pd.to_timedelta(rng.integers(200, 900, len(ids)), unit="D")),
        score_band=pd.Series("B", index=range(len(ids)), dtype="str").where(ids % 2 == 0),
    )  # fmt: skip
    placement = facts[out].assign(
        placement_id=ids[out], plan_id=1, agency=np.where(ids[out] % 2 == 0, "lotus", "quayside"), round=1,
        stage="phone", segment="all", state="placed", placed_on=placed_on,
        due_back_on=placed_on + pd.Timedelta(days=180),
    )  # fmt: skip
    over = placed_on + pd.Timedelta(days=180) <= pd.Timestamp("2026-04-01")
    placement.loc[over, "state"] = "closed"
    placement["ended_on"] = pd.Series(placed_on + pd.Timedelta(days=180), index=placement.index).where(over)
    placement["end_reason"] = pd.Series("term", index=placement.index, dtype="str").where(over)
    paying = np.flatnonzero(rng.random(placed) < chance[out])
    line = pd.DataFrame({
        "line_id": paying + 1, "content_id": paying.astype(str), "file_id": 1, "line": paying, "lender": "harbour",
        "agency": placement["agency"].to_numpy()[paying], "placement_id": ids[paying], "account_id": ids[paying],
        "gross_minor": (minor[paying] * rng.uniform(0.05, 0.4, len(paying))).astype("int64"), "net_minor": 1,
        "currency": "CNY", "state": "matched",
        "value_date": placed_on[paying] + pd.to_timedelta(rng.integers(3, 85, len(paying)), unit="D"),
    })  # fmt: skip
    contact = pd.DataFrame({
        "file_id": 2, "line": ids[out], "agency": placement["agency"].to_numpy(), "placement_id": ids[out],
        "at": pd.Series(placed_on + pd.Timedelta(days=2)).dt.tz_localize("UTC"), "offset_minutes": 480,
        "channel": "phone", "outcome": np.where(ids[out] % 3 == 0, "connected", "no_answer"),
    })  # fmt: skip
    with desk.database.write() as connection:
        for table, frame in ((Account, account), (Placement, placement), (RemittanceLine, line), (Activity, contact)):
            append(connection, table, frame.reset_index(drop=True))
