"""Verbs under a real Prefect server: the same results and errors, nothing of a debtor in its files, and a clean end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pytest

from flows import serving
from flows.engine import ParameterRefused, run, step, verb
from infra.settings import Settings
from infra.wiring import Desk, seated
from models.errors import Findings

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine"), pytest.mark.timeout(300)]

MARKERS = ("ZhangMarkerSan", "13800138000", "MarkerStreet")
START_SECONDS = 120
END_SECONDS = 60


@dataclass(frozen=True)
class Line:
    agency: str
    files: int
    debtor: str


@dataclass(frozen=True)
class Report:
    plan_id: int
    files: int
    debtor: str
    lines: tuple[Line, ...] = ()


class Debtor:
    """An item that a careless step might be given."""

    def __repr__(self) -> str:
        return " ".join(MARKERS)


@step
def send(item: object, *_rest: object) -> int:
    return len(str(item))


@step
def refuse(agency: str) -> None:
    if agency == "north":
        raise Findings(f"{agency} refused it", fix="ask north")


@step
def stumble(_item: object) -> None:
    held = {"name": MARKERS[0]}
    try:
        raise KeyError(held["name"])
    except KeyError as error:
        raise ValueError(*MARKERS) from error


@verb()
def placing(plan_id: int, agency: str | None = None) -> Report:
    """Place, carelessly."""
    print(*MARKERS)
    files = sum(send.map(["north", MARKERS[0], Debtor()], Debtor()))
    return Report(plan_id, files, MARKERS[1], (Line(agency or "north", 1, MARKERS[2]),))


@verb()
def refusing(plan_id: int) -> Report:
    """Have an agency refuse."""
    refuse.map(["east", "north", "south"])
    return Report(plan_id, 0, "")


@verb()
def stumbling(plan_id: int) -> Report:
    """Fail in a step, with a debtor in the error's text."""
    stumble.map([Debtor(), Debtor()])
    return Report(plan_id, 0, "")


@verb()
def forgiving(plan_id: int) -> Report:
    """Go on although a step has failed."""
    with suppress(Findings):
        refuse.map(["north"])
    return Report(plan_id, 1, "")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a server of its own, for all tests of this module."""
    home = tmp_path_factory.mktemp("engine") / "home"
    with seated(Desk(Settings(home=home, engine="prefect", agencies_at_once=2))) as desk:
        with serving.server(desk.settings):
            yield desk
        assert serving.running(desk.settings) is None


def api(desk: Desk) -> str:
    url = serving.running(desk.settings)
    assert url is not None
    return url


def runs(desk: Desk, name: str) -> list[dict[str, object]]:
    flows = {"flows": {"name": {"any_": [name]}}}
    found: list[dict[str, object]] = serving.ask(api(desk), "/flow_runs/filter", flows)
    return found


def test_a_verb_runs_as_a_flow_and_gives_its_report(at: Desk) -> None:
    report = run(placing, plan_id=7, agency="north")
    assert report == placing(7, "north")
    (found,) = runs(at, "placing")
    assert (found["name"], found["state_type"]) == ("placing plan_id=7 agency=north", "COMPLETED")


def test_the_steps_are_its_tasks_named_by_codes_alone(at: Desk) -> None:
    run(placing, plan_id=8)
    names: set[str] = set()
    expected = {"send north", "send 2", "send 3"}
    deadline = time.monotonic() + 30
    # the server records tasks a little later, and their names after them
    while (len(names) < 2 or names - expected) and time.monotonic() < deadline:
        names = {found["name"] for found in serving.ask(api(at), "/task_runs/filter", {})}
        time.sleep(0.5)
    assert "send north" in names
    assert names <= expected


def test_the_report_is_published_as_counts(at: Desk) -> None:
    report = run(placing, plan_id=9)
    found = serving.ask(api(at), "/artifacts/filter", {})
    published = [(one["key"], json.loads(one["data"])) for one in found if one["key"] in {"placing", "placing-lines"}]
    assert ("placing", [{"what": "plan_id", "count": 9}, {"what": "files", "count": report.files}]) in published
    assert ("placing-lines", [{"agency": "north", "files": 1}]) in published


def test_the_caller_gets_the_error_as_it_was_raised(at: Desk) -> None:
    with pytest.raises(Findings, match="north refused it") as raised:
        run(refusing, plan_id=7)
    assert raised.value.fix == "ask north"
    (found,) = runs(at, "refusing")
    message = serving.ask(api(at), f"/flow_runs/{found['id']}")["state"]["message"]
    assert re.search(r"StepFailed: refusing failed: Findings \(exit code 3, fault [0-9a-fT-]+\)$", message)


def test_a_verb_may_go_on_after_a_step_has_failed(at: Desk) -> None:
    assert run(forgiving, plan_id=7).files == 1
    assert runs(at, "forgiving")[0]["state_type"] == "COMPLETED"


def test_no_parameter_but_identifiers_reaches_the_server(at: Desk) -> None:
    for value in MARKERS[1], "Zhang Marker", 1.5, {"name": MARKERS[0]}:
        with pytest.raises(ParameterRefused):
            run(placing, plan_id=value)
    assert not [found for found in runs(at, "placing") if MARKERS[1] in str(found)]


def test_nothing_of_a_debtor_is_in_prefects_files_or_our_logs(at: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=MARKERS[0]):
        run(stumbling, plan_id=7)
    run(placing, plan_id=10)
    time.sleep(3)  # logs and task runs are written a little later
    said = "".join(capfd.readouterr()).replace(" ".join(MARKERS) + "\n", "")  # what the verb itself printed
    files = [path for path in at.settings.home.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"prefect.db", "consign.log", "server.log"} <= names
    assert any(path.parent.name == "faults" for path in files)
    held = {(path.name, marker) for path in files for marker in MARKERS if marker.encode() in path.read_bytes()}
    assert held == set()
    assert not any(marker in said for marker in MARKERS)


def test_a_second_command_uses_the_server_that_is_there(at: Desk) -> None:
    code = (
        "from flows import serving\nfrom infra.settings import Settings\n"
        "with serving.server(Settings()) as url: print(url)"
    )
    environment = {**os.environ, "CONSIGN_HOME": str(at.settings.home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == api(at)
    assert serving.is_healthy(api(at))


def test_the_server_tells_nobody_anything_and_listens_here_alone(at: Desk) -> None:
    url = api(at)
    assert url.startswith("http://127.0.0.1:")
    told = serving.ask(url, "/admin/settings")["server"]
    assert told["analytics_enabled"] is False
    assert (told["ui"]["v2_enabled"], told["ui"]["show_promotional_content"]) == (False, False)
    assert told["services"]["task_run_recorder"]["batch_size"] == 200
    folder = at.settings.home / "prefect"
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir() if path.is_file()} == {0}


def test_runs_that_a_killed_command_left_are_swept_at_the_next_start(at: Desk) -> None:
    url = api(at)
    flow = serving.ask(url, "/flows/", {"name": "left"})
    left = serving.ask(url, "/flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING", "name": "Running"}})
    assert serving.sweep(url) == 1
    assert serving.ask(url, f"/flow_runs/{left['id']}")["state"]["type"] == "CRASHED"
    assert serving.sweep(url) == 0


def test_a_run_given_from_outside_gets_its_types_back(at: Desk) -> None:
    from flows import deployed

    def body(day: date, file: Path | None = None, moment: datetime | None = None, rows: int = 0) -> None: ...

    signature = deployed._signature(body)
    given = {"day": "2026-01-02", "file": "a/b.csv", "moment": "2026-01-02T00:00:00+00:00", "rows": 3}
    assert at.settings.engine == "prefect"
    assert deployed._as_annotated(signature, given) == {
        "day": date(2026, 1, 2),
        "file": Path("a/b.csv"),
        "moment": datetime.fromisoformat("2026-01-02T00:00:00+00:00"),
        "rows": 3,
    }


def test_every_flow_has_an_entrypoint_that_prefect_can_load(at: Desk) -> None:
    from prefect.flows import load_flow_from_entrypoint

    from flows import catalogue

    assert at is not None
    for entry in catalogue.entries():
        assert load_flow_from_entrypoint(f"flows.deployed.{entry.name}").name == entry.name
    from flows import deployed

    with pytest.raises(AttributeError):
        _ = deployed.sing


def processes_of(home: Path) -> list[str]:
    """Processes whose command line or environment names the home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if str(home).encode() in told and state != "Z" and folder.name != str(os.getpid()):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def gone(home: Path, seconds: float) -> list[str]:
    """What of it is still there after so long."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh installation."""
    environment = {**os.environ, "CONSIGN_HOME": str(tmp_path / "home"), "CONSIGN_WEB_PORT": "0"}
    subprocess.run([sys.executable, "-m", "console.cli.main", "init"], env=environment, check=True, capture_output=True)
    return environment


def test_up_serves_every_schedule_until_ctrl_c_and_leaves_nothing_running(installed: dict[str, str]) -> None:
    home = Path(installed["CONSIGN_HOME"])
    process = subprocess.Popen(
        [sys.executable, "-m", "console.cli.main", "up", "--json", "--port", str(serving._free_port())],
        env=installed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], START_SECONDS)[0], "not ready in time"
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        ready = json.loads(line)
        deployments = {one["entrypoint"]: one for one in ready["deployments"]}
        assert {"flows.deployed.place", "flows.deployed.collect"} <= deployments.keys()
        assert deployments["flows.deployed.collect"]["next_run"] > "2026"
        assert deployments["flows.deployed.place"]["next_run"] is None
        with urllib.request.urlopen(ready["console"] + "/healthz") as answer:  # noqa: S310 - our own, on loopback
            assert json.load(answer) == {"ready": True}

        # a run that is asked for runs in a process of the worker's
        url = f"{ready['url']}/api"
        collect = deployments["flows.deployed.collect"]["id"]
        asked = serving.ask(url, f"/deployments/{collect}/create_flow_run", {"parameters": {}})
        deadline = time.monotonic() + END_SECONDS
        state = ""
        while state not in {"Completed", "Failed", "Crashed"} and time.monotonic() < deadline:
            state = serving.ask(url, f"/flow_runs/{asked['id']}")["state"]["name"]
            time.sleep(0.5)
        assert state == "Completed"
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, out, "Traceback" in err) == (0, "", False), err
    assert gone(home, 5) == []
    assert "Traceback" not in (home / "logs" / "worker.log").read_text()


def test_a_command_that_is_killed_takes_its_server_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = (
        "from flows import serving\nfrom infra.settings import Settings\nprint('on', flush=True)\n"
        "with serving.server(Settings()): pass"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "CONSIGN_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + START_SECONDS
    while not any("prefect server" in told for told in processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    assert gone(home, END_SECONDS) == []


def test_a_keyring_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main", "up"],
        env={**os.environ, "CONSIGN_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "consign init" in done.stderr) == (4, True)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(serving.ServerFailed, match="/flows"):
        serving.ask(f"http://127.0.0.1:{serving._free_port()}/api", "/flows/filter", {})
    assert serving.running(Settings(home=tmp_path)) is None
