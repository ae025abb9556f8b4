"""The Prefect server of this installation: one for whoever needs it, gone when nobody does; and the worker of `up`.

Whoever uses the server holds a shared lock on home/prefect/users.lock. A small keeper process started the server and
stops it when it can take that lock for itself: after the last user's end, be it a kill -9. The file server.json
beside it says where the server listens. Everything binds to localhost; nothing is sent anywhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.errors import ConfigurationError

if TYPE_CHECKING:
    from infra.settings import Settings

START_SECONDS: Final = 180.0
"""A loaded machine takes its time: 11 to 25 s were measured on two idle cores."""
STOP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.2
DRAIN_SECONDS: Final = 20.0
HEALTH_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 60.0
"""Its database is one file: an answer may wait for a write."""
BUSY: Final = 503
"""What it answers when its database stays locked for too long."""
USERS, STARTING, NOTE, SECRET = "users.lock", "start.lock", "server.json", "encryption.key"
LOGGING: Final = Path(__file__).with_name("prefect_logging.yml")

QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # it calls an analytics host from the browser
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # no second server behind our back
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_LOGGING_SETTINGS_PATH": str(LOGGING),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
SERVER: Final = {
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",  # at 1, a thousand tasks lock its database
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
    "PREFECT_CLI_COLORS": "false",
}


class ServerFailed(ConfigurationError):
    """The Prefect server did not start, or cannot be reached."""


@dataclass
class _Held:
    """This process's own hold on the server, however many blocks use it."""

    url: str = ""
    users: int = 0
    descriptor: int = -1


_held: dict[Path, _Held] = {}
_keepers: dict[Path, subprocess.Popen[bytes]] = {}
"""The keepers that this process started."""
_mutex = threading.RLock()


def prepare() -> None:
    """Prefect, once imported, is silent and keeps its files below our home, whatever a person's own Prefect does."""
    from infra.wiring import desk

    if "prefect" not in sys.modules:
        os.environ.update(environment(desk().settings))


def environment(settings: Settings) -> dict[str, str]:
    """The variables under which Prefect runs in any process of ours."""
    return {"PREFECT_HOME": str(folder_of(settings)), **QUIET}


def folder_of(settings: Settings) -> Path:
    """Prefect's own folder, 0700."""
    return settings.folder("prefect").resolve()


@contextmanager
def server(settings: Settings, port: int | None = None) -> Iterator[str]:
    """The URL of a server's API: the one that the settings name, a running one of ours, or one started for the block.

    Blocks may stand inside each other and in several processes; the last one to end stops what the first one started.
    Raises ServerFailed.
    """
    if settings.prefect_api_url:
        yield settings.prefect_api_url
        return
    folder = folder_of(settings)
    with _mutex:
        held = _held.setdefault(folder, _Held())
        if held.users == 0:
            held.descriptor, held.url = _take(folder, port)
        held.users += 1
    try:
        yield held.url
    finally:
        with _mutex:
            held.users -= 1
            if held.users == 0:
                tell_all()
                _leave(folder, held.descriptor)
                held.descriptor, held.url = -1, ""


def is_held_around(settings: Settings) -> bool:
    """Whether a block of this process goes on holding the server when the innermost one ends."""
    held = _held.get(folder_of(settings)) if not settings.prefect_api_url else None
    return held is not None and held.users > 1


def tell_all() -> None:
    """Events and logs on their way from this process have arrived at the server; nothing where Prefect was not used."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        # Prefect says on stderr what it waits for, past every logger
        with suppress(Exception), open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):  # noqa: PTH123 - no path
            worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)


def running(settings: Settings) -> str | None:
    """The URL of a running server's API; None where there is none."""
    if settings.prefect_api_url:
        return settings.prefect_api_url if is_healthy(settings.prefect_api_url) else None
    note = _note(settings.home / "prefect")
    return note["url"] if note and is_healthy(note["url"]) else None


def is_healthy(api_url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=HEALTH_SECONDS) as answer:  # noqa: S310 - our own URL
            return bool(answer.read().strip() == b"true")
    except (OSError, ValueError):
        return False


def ask(api_url: str, path: str, body: object = None) -> Any:
    """What the server's API answers; a server that is busy is asked again. Raises ServerFailed."""
    request = urllib.request.Request(  # noqa: S310 - our own URL
        f"{api_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310 - our own URL
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code != BUSY or time.monotonic() > deadline:
                raise ServerFailed(
                    f"the Prefect server refuses {path}: {error.code}", fix="see home/prefect/server.log"
                ) from None
        except (OSError, ValueError) as error:
            raise ServerFailed(
                f"the Prefect server does not answer {path}: {type(error).__name__}", fix="see home/prefect/server.log"
            ) from None
        time.sleep(1)


def sweep(api_url: str) -> int:
    """Runs that a killed process left behind are `Crashed`; how many there were.

    For a server that was just started: nobody can be running anything yet.
    """
    states = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    stale = ask(api_url, "/flow_runs/filter", {"flow_runs": states, "limit": 200})
    crashed = {"type": "CRASHED", "name": "Crashed", "message": "The process that ran it was killed."}
    for found in stale:
        ask(api_url, f"/flow_runs/{found['id']}/set_state", {"state": crashed, "force": True})
    return len(stale)


def _take(folder: Path, port: int | None) -> tuple[int, str]:
    """Our share of the lock, and the URL of a server that answers, started now if need be."""
    users = os.open(folder / USERS, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with _alone(folder / STARTING):
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is about to stop
            note = _note(folder)
            if note and is_healthy(note["url"]):
                return users, str(note["url"])
            url = _start(folder, port or _free_port())
            sweep(url)
            return users, url
    except BaseException:
        os.close(users)
        raise


def _leave(folder: Path, users: int) -> None:
    """Our share is given back; if it was the last, the server has stopped."""
    note = _note(folder)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        last = True
    except BlockingIOError:
        last = False
    os.close(users)
    deadline = time.monotonic() + STOP_SECONDS + 5
    while last and note and _alive(note["keeper"]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        if (ours := _keepers.get(folder)) is not None and ours.poll() is not None:
            del _keepers[folder]


def _start(folder: Path, port: int) -> str:
    """A keeper is started, its server answers, and the note says where."""
    log = folder / "server.log"
    out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "flows.serving", "keep", str(folder), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a Ctrl-C is for the command; the keeper stops when nobody is left
            env={**os.environ, **QUIET, **SERVER, **_server_environment(folder, port)},
        )
    finally:
        os.close(out)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _await_health(keeper, url, log)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise
    _write_note(folder, {"url": url, "keeper": keeper.pid, "port": port})
    _keepers[folder] = keeper
    return url


def _await_health(keeper: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_healthy(url):
        if keeper.poll() is not None:
            raise ServerFailed("the Prefect server ended while it was starting", fix=f"see {log}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"the Prefect server did not answer within {START_SECONDS:.0f} s", fix=f"see {log}")
        time.sleep(POLL_SECONDS)


def _server_environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ENCRYPTION_KEY": _secret(folder),  # without it the key of its secrets lies beside them
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),  # the page calls this port, whatever --port says
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
    }


def _secret(folder: Path) -> str:
    """The key under which the server keeps secrets, made once, 0600."""
    path = folder / SECRET
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    from cryptography.fernet import Fernet

    key = Fernet.generate_key().decode()
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def _note(folder: Path) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return None
    return note if _alive(note["keeper"]) else None


def _write_note(folder: Path, note: dict[str, Any]) -> None:
    unfinished = folder / f"{NOTE}.part"
    unfinished.write_text(json.dumps(note))
    unfinished.chmod(0o600)
    unfinished.replace(folder / NOTE)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


# -- the keeper's own process -----------------------------------------------------------------------------------------


def keep(folder: Path, port: int) -> int:
    """Run the server until nobody uses it any more, or until we are told to stop; its exit code."""
    os.umask(0o077)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    users = os.open(folder / USERS, os.O_CREAT | os.O_RDWR, 0o600)
    arguments = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
    )
    while child.poll() is None and not stopping.wait(POLL_SECONDS):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        break  # nobody is left; whoever comes now waits until the lock falls with this process
    with suppress(FileNotFoundError):
        (folder / NOTE).unlink()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()


def _die_with_parent() -> None:
    """On Linux the server ends even when its keeper is killed outright."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        sys.exit(keep(Path(sys.argv[2]), int(sys.argv[3])))
