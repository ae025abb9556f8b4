"""What each page and part of a page of the console costs the server, at a million accounts and 100,000 breaks.

A console of two processes is asked by eight connections at once, each page as often as the others, in an order that is
drawn. What is told is the server's own time, from a request's first byte to its answer's last, waiting for
the other seven included; and before that, alone, what one request costs of a processor (`CPU`), which another program
on the machine does not change. The floor is a page that asks nobody anything (`/healthz/live`), in the same run.
`first` is what the very first request took, with nothing remembered. A page that does not answer is named, and the
others go on.

To have another page timed, add a line to PAGES. `run` is called by tests/benchmarks/run.py; from a shell, with a house
that is kept: `python tests/benchmarks/console.py --home FOLDER [--only breaks] [--accounts 1000000 --breaks 100000]`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from console.web import crew
from console.web.serving import application
from infra.people import sessions, tokens
from infra.sandbox import staff
from infra.sandbox.world import settings_of
from infra.wiring import Desk
from tests.benchmarks.fullhouse import NOW
from tests.benchmarks.measure import cpu_of

CONNECTIONS: Final = 8
PROCESSES: Final = 2
ALONE, ASKED = 5, 40
"""So often each page is asked for by one connection alone, and then by all of them."""
SEED: Final = 20261122
BREAKS_PER_ACCOUNT: Final = 10
FLOOR: Final = "floor"
GOAL_MS: Final = 100.0


@dataclass(frozen=True)
class Page:
    """A page, or a part of one, as somebody asks for it."""

    name: str
    path: str
    who: str = "finance"
    """the role of who asks (infra.sandbox.staff); `agency`: its clerk; `api`: a token of who has every role"""
    part: bool = False
    """asked for by HTMX"""
    on: int = 0
    """so many pages further in the list"""


PAGES: Final = (
    Page(FLOOR, "/healthz/live"),
    # finance
    Page("breaks", "/breaks"),
    Page("breaks, the list", "/breaks", part=True),
    Page("breaks, page 40", "/breaks", part=True, on=39),
    Page("breaks, largest", "/breaks?sort=largest", part=True),
    Page("breaks, one agency", "/breaks?agency=lotus", part=True),
    Page("breaks, one kind", "/breaks?kind=no_receipt", part=True),
    Page("breaks, mine", "/breaks?mine=1", part=True),
    Page("breaks, searched", "/breaks?q=RCV-2611-00", part=True),
    Page("breaks, suggested", "/breaks?tab=proposed", part=True),
    Page("breaks, to approve", "/breaks?tab=to_approve", part=True),
    Page("breaks, matched", "/breaks?tab=matched", part=True),
    Page("breaks, written off", "/breaks?tab=written_off", part=True),
    Page("drawer of a line", "/breaks?open=break-1", part=True),
    Page("drawer of a receipt", "/breaks?open=break-4", part=True),
    Page("drawer of a suggestion", "/breaks?tab=proposed&open=match-18001", part=True),
    Page("drawer of a resolution", "/breaks?tab=to_approve&open=resolution-1", part=True),
    Page("recoveries", "/recoveries"),
    Page("recoveries, matched", "/recoveries?state=matched&agency=lotus"),
    Page("a recovery explained", "/recoveries?state=matched&open=100001"),
    Page("statements", "/statements"),
    Page("payments", "/payments"),
    Page("bank statements", "/bank"),
    Page("trial balance", "/ledger"),
    Page("month close", "/closing?lender=harbour&period=2026-10"),
    # portfolio
    Page("portfolios", "/portfolios", "portfolio_manager"),
    Page("placements", "/placements", "portfolio_manager"),
    Page("placements, page 40", "/placements", "portfolio_manager", on=39),
    Page("placements, one agency", "/placements?agency=lotus", "portfolio_manager"),
    Page("placements, closed", "/placements?tab=closed&lender=harbour", "portfolio_manager"),
    Page("placements of an account", "/placements?account=1000", "portfolio_manager"),
    Page("plans", "/plans", "portfolio_manager"),
    Page("plans, one", "/plans/1", "portfolio_manager"),
    Page("plans, held back", "/plans/1?tab=held_back", "portfolio_manager"),
    Page("plans, its accounts", "/plans/1?tab=accounts", "portfolio_manager"),
    Page("plans, first form", "/plans/new?lender=harbour", "portfolio_manager"),
    Page("portfolio, one", "/portfolios/1", "portfolio_manager"),
    Page("holds", "/holds", "portfolio_manager"),
    Page("exchanges", "/exchanges", "portfolio_manager"),
    Page("recalls", "/recalls", "portfolio_manager"),
    Page("recalls, confirmed", "/recalls?tab=confirmed", "portfolio_manager"),
    Page("schedules", "/schedules", "portfolio_manager"),
    Page("agencies", "/agencies", "portfolio_manager"),
    Page("an agency", "/agencies/lotus", "portfolio_manager"),
    Page("what was sent", "/exchanges/sent/1", "portfolio_manager"),
    Page("what came", "/exchanges/came/1", "portfolio_manager"),
    Page("recalls due by rule", "/recalls/due", "portfolio_manager"),
    Page("objections to recalls", "/recalls/objections", "portfolio_manager"),
    Page("plans compared", "/plans/1/compare", "portfolio_manager"),
    Page("plans, what if", "/plans/1/what-if", "portfolio_manager"),
    Page("strategies", "/strategies", "portfolio_manager"),
    Page("strategy runs", "/strategy-runs", "portfolio_manager"),
    Page("stages", "/stages", "portfolio_manager"),
    Page("proposed recalls", "/proposed-recalls", "portfolio_manager"),
    Page("instalment plans", "/instalments", "portfolio_manager"),
    Page("evaluations", "/evaluations", "portfolio_manager"),
    Page("propensity", "/propensity", "portfolio_manager"),
    Page("scorecards", "/scorecards", "portfolio_manager"),
    Page("a portfolio taken in", "/portfolios/new", "portfolio_manager"),
    Page("lenders", "/lenders", "portfolio_manager"),
    Page("contracts", "/contracts", "portfolio_manager"),
    Page("cash forecast", "/forecast"),
    Page("entries of the ledger", "/ledger/entries?lender=harbour"),
    # compliance
    Page("field policy", "/policies", "compliance"),
    Page("disclosure register", "/disclosures", "compliance"),
    Page("debtors' requests", "/requests", "compliance"),
    Page("erasures", "/erasures", "compliance"),
    Page("complaints", "/complaints", "compliance"),
    Page("a complaint", "/complaints/1", "compliance"),
    Page("breaches", "/breaches", "compliance"),
    Page("breaches, page 40", "/breaches", "compliance", on=39),
    Page("a breach", "/breaches/1", "compliance"),
    Page("audit trail", "/audit", "compliance"),
    Page("audit trail, page 40", "/audit", "compliance", on=39),
    Page("consolidation", "/consolidation", "compliance"),
    Page("retention", "/retention", "compliance"),
    Page("the gate", "/gate", "compliance"),
    Page("rule packs", "/rules", "compliance"),
    Page("assessments", "/assessments", "compliance"),
    # the house
    Page("operations", "/operations", "operations"),
    Page("exceptions", "/exceptions", "operations"),
    Page("layouts", "/layouts", "operations"),
    Page("keys", "/keys", "operations"),
    Page("backups", "/backups", "operations"),
    Page("jobs", "/jobs", "operations"),
    Page("people", "/people", "administrator"),
    # an agency's portal
    Page("portal", "/portal", "agency"),
    Page("portal, files", "/portal/files", "agency"),
    Page("portal, a file", "/portal/files/3", "agency"),
    Page("portal, statements", "/portal/statements", "agency"),
    Page("portal, scorecard", "/portal/scorecard", "agency"),
    Page("portal, erasures", "/portal/erasures", "agency"),
    Page("portal, instalments", "/portal/instalments", "agency"),
    # everybody
    Page("waiting for me", "/"),
    Page("account", "/account"),
    Page("help", "/help?at=/breaks", part=True),
    # the API
    *(
        Page(f"API {path}", f"/api/v1{path}", "api")
        for path in (
            "/me", "/breaks", "/placements", "/plans", "/plans/1/lines", "/portfolios", "/recalls", "/holds",
            "/agencies", "/files/sent", "/files/received", "/statements", "/events", "/breaches", "/complaints",
            "/erasures", "/exceptions", "/bank/statements", "/stages", "/contracts",
        )
    ),
)  # fmt: skip


def run(rows: int) -> dict[str, Any]:
    """The p50 and p95 of every page at so many accounts, and the dearest page's p95 against the floor's."""
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder), rows, rows // BREAKS_PER_ACCOUNT)
        return told(Path(folder), rows, PAGES)


def filled(home: Path, accounts: int, breaks: int) -> None:
    """The house is at `home`, with its people; filled in a process of its own."""
    with_home = {**os.environ, "CONSIGN_HOME": str(home)}
    init = [sys.executable, "-m", "console.cli.main", "init"]
    subprocess.run(init, env=with_home, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "tests.benchmarks.fullhouse", home, str(accounts), str(breaks)], check=True)
    at = desk_of(home)
    staff.hire(at, "lotus")
    at.database.close()


def desk_of(home: Path) -> Desk:
    """The house's desk."""
    return Desk(settings_of(home, engine="direct"), clock=lambda: NOW, actor="bench")


def told(home: Path, rows: int, pages: Sequence[Page], processes: int = PROCESSES) -> dict[str, Any]:
    """What tests/benchmarks/run.py prints: a line for each page. `failed` says which did not answer, and how."""
    began = time.perf_counter()
    with serving(home, processes) as (port, process):
        cookies = signed_in(home, pages)
        alone, failed = timed_alone(port, pages, cookies)
        answering = [page for page in pages if page.name in alone]
        found = timed(port, answering, {page: alone[page.name].path for page in answering}, cookies, failed)
        used = cpu_of(process)
    figures = {name: (percentile(took, 50), percentile(took, 95)) for name, took in found.items()}
    floor = figures[FLOOR]
    late = [name for name, (_, p95) in figures.items() if p95 >= GOAL_MS]
    text = [f"{'server time, ms':<28}{'first':>8}{'CPU':>8}{'p50':>8}{'p95':>8}{'of the floor':>14}"]
    text += [
        f"{page.name:<28}{alone[page.name].first_ms:>8.0f}{alone[page.name].cpu_ms:>8.1f}{p50:>8.1f}{p95:>8.1f}"
        f"{p95 / floor[1]:>14.1f}"
        for page in answering
        if page.name in figures
        for p50, p95 in [figures[page.name]]
    ]
    text.append(f"p95 of {GOAL_MS:.0f} ms or more: {', '.join(late) or 'none'}")
    text += [f"FAILED {name}: {why}" for name, why in failed.items()]
    count = sum(map(len, found.values()))
    dearest = max(p95 for _, p95 in figures.values())
    return {
        "name": "console", "rows": rows, "cpu_s": used, "wall_s": time.perf_counter() - began, "peak_mb": 0,
        "floor_cpu_s": floor[1] * count / 1000, "ratio": dearest / floor[1], "text": "\n".join(text), "failed": failed,
        "pages": {
            name: {"first_ms": alone[name].first_ms, "cpu_ms": alone[name].cpu_ms, "p50_ms": p50, "p95_ms": p95}
            for name, (p50, p95) in figures.items()
        },
    }  # fmt: skip


def percentile(values: Sequence[float], share: int) -> float:
    """The smallest value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


# -- asking ------------------------------------------------------------------------------------------------------------


def signed_in(home: Path, pages: Sequence[Page]) -> dict[str, str]:
    """The cookie of somebody of each role, and a token."""
    at = desk_of(home)
    people = {str(role): actor for role, actor in staff.STAFF.items()} | {"agency": staff.CLERK}
    cookies = {
        role: sessions.begin(at, people[role], factors=2, address="127.0.0.1", browser="bench")
        for role in {page.who for page in pages} - {"api"}
    } | {"api": tokens.make(at.acting(staff.STAFF["administrator"]), staff.SECOND, "bench").token}
    at.database.close()
    return cookies


@dataclass(frozen=True)
class Alone:
    """What a page costs that is asked for by nobody else."""

    path: str
    first_ms: float
    cpu_ms: float


def timed_alone(port: int, pages: Sequence[Page], cookies: dict[str, str]) -> tuple[dict[str, Alone], dict[str, str]]:
    """By the page's name what it costs alone; and of those that do not answer, why."""
    found, failed = {}, {}
    for page in pages:
        asking = Asking(port, cookies)
        try:
            first = asking.ask(page, page.path)
            path = asking.deep(page)
            used = []
            for _ in range(ALONE):
                asking.ask(page, path)
                used.append(asking.cpu_ms)
            found[page.name] = Alone(path, first, percentile(used, 50))
        except RuntimeError as fault:
            failed[page.name] = str(fault)
        asking.connection.close()
    return found, failed


def timed(
    port: int, pages: Sequence[Page], paths: dict[Page, str], cookies: dict[str, str], failed: dict[str, str]
) -> dict[str, list[float]]:
    """By the page's name the server's time of every request, ms; who fails now goes into `failed`."""
    asked = [page for page in pages for _ in range(ASKED)]
    random.Random(SEED).shuffle(asked)
    found: dict[str, list[float]] = defaultdict(list)
    waiting, lock = iter(asked), threading.Lock()

    def work() -> None:
        own = Asking(port, cookies)
        while True:
            with lock:
                page = next(waiting, None)
            if page is None:
                return
            try:
                took = own.ask(page, paths[page])
            except RuntimeError as fault:
                failed[page.name] = str(fault)
                continue
            with lock:
                found[page.name].append(took)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Asking:
    """One connection that stays open."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.cookies = cookies
        self.text = ""
        self.cpu_ms = 0.0

    def ask(self, page: Page, path: str) -> float:
        """The milliseconds that the server took. Raises RuntimeError where it does not answer with the page."""
        told = self.cookies[page.who]
        whose = {"Authorization": f"Bearer {told}"} if page.who == "api" else {"Cookie": f"consign_session={told}"}
        headers = {**whose, "Accept-Encoding": "identity"}
        if page.part:
            headers |= {"HX-Request": "true", "HX-Request-Type": "partial"}
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        self.text = answer.read().decode()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{page.name}: {path} answered {answer.status}")
        self.cpu_ms = float(answer.getheader("x-server-cpu-ms") or "nan")
        return float(answer.getheader("x-server-ms") or "nan")

    def deep(self, page: Page) -> str:
        """The path of the page so much further in its list."""
        path = page.path
        for _ in range(page.on):
            self.ask(page, path)
            following = re.search(r'rel="next" href="([^"]+)"', self.text)
            if following is None:
                break
            path = urljoin(page.path, unescape(following[1]))
        return path


# -- answering ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(home: Path, processes: int = PROCESSES) -> Iterator[tuple[int, int]]:
    """The port of a console of so many processes, and the id of the one that started them, in the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.console", "--serve", home, "--processes", str(processes)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        process.wait(60)


def serve(home: Path, processes: int) -> None:
    """Answer until standard input closes; each answer says how long it took."""
    program = (sys.executable, "-m", "tests.benchmarks.console", "--answer", str(home))
    with crew.served_by_crew(desk_of(home), 0, processes, program) as console:
        sys.stdout.write(f"{urlsplit(console.url).port}\n")
        sys.stdout.flush()
        sys.stdin.read()


def answer(home: Path, channel: int) -> None:
    """One of the processes that answer."""
    crew.answer(desk_of(home), socket.socket(fileno=channel), lambda desk: Timed(application(desk)))


class Timed:
    """The application, with its time beside every answer: the answer is held until it is whole."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, used, kept = time.perf_counter(), time.process_time(), []

        async def keep(message: Any) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        took, used = (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000
        told = ((b"x-server-ms", f"{took:.3f}".encode()), (b"x-server-cpu-ms", f"{used:.3f}".encode()))
        kept[0]["headers"] = [*kept[0]["headers"], *told]
        for message in kept:
            await send(message)


def main() -> int:
    """From a shell."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--answer", nargs=2, help=argparse.SUPPRESS)
    asked.add_argument("--home", type=Path, help="a house that is filled where it is not there yet, and kept")
    asked.add_argument("--accounts", type=int, default=1_000_000)
    asked.add_argument("--breaks", type=int, default=100_000)
    asked.add_argument("--only", default="", help="pages whose name begins so")
    asked.add_argument("--processes", type=int, default=PROCESSES, help="that answer")
    options = asked.parse_args()
    if options.answer:
        answer(Path(options.answer[0]), int(options.answer[1]))
        return 0
    if options.serve:
        serve(options.serve, options.processes)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / "consign.sqlite").exists():
            filled(home, options.accounts, options.breaks)
        pages = [page for page in PAGES if page.name == FLOOR or page.name.startswith(options.only)]
        result = told(home, options.accounts, pages, options.processes)
    sys.stdout.write(result["text"] + "\n")
    sys.stdout.write(json.dumps({"cpu_s": round(result["cpu_s"], 1), "wall_s": round(result["wall_s"], 1)}) + "\n")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
