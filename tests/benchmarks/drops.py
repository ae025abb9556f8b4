"""Drops against OpenSSH's `sftp`, on one sshd and in one run: a large file up and down, many small ones, many agencies.

python tests/benchmarks/drops.py [--mb 500] [--files 1000] [--agencies 20] [--repeats 5] [--folder DIR]

Ours and theirs take turns, and the order changes with every repeat. Ours does more: it connects anew each time as they
do, checks every answer, syncs to disk on both sides, hashes, records its intent in SQLite and publishes by a rename.
The files lie in memory where the machine has /dev/shm, so that the transfer is compared and not the disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from connectors.drops import Outgoing, Pushed, SftpSettings, open_drop
from infra.sandbox.host import FROM_AGENCY, TO_AGENCY, SandboxHost
from tests.benchmarks.measure import Cost, costing, peak_mb

SMALL_FILE = 50_000
FILES, AGENCIES, REPEATS = 1000, 20, 5
MEMORY = Path("/dev/shm")
GCM = ("-c", "aes128-gcm@openssh.com")


@dataclass
class Bench:
    """The server, the agencies' settings and files to send, in a folder of this run's own."""

    folder: Path
    host: SandboxHost
    agencies: list[str]
    keys: dict[str, str] = field(default_factory=dict)

    def settings(self, agency: str) -> SftpSettings:
        """What a drop needs for the agency."""
        return self.host.settings_for(agency, self.keys[agency])

    def side(self, agency: str, directory: str) -> Path:
        """A directory as the agency sees it."""
        return self.host.directory(agency) / directory

    def emptied(self) -> None:
        """Nothing is left of what was sent or fetched before, and the disk has caught up."""
        for agency in self.agencies:
            for path in self.side(agency, TO_AGENCY).iterdir():
                path.unlink()
        for path in self.folder.glob("got*"):
            path.unlink()
        os.sync()

    def sftp(self, agency: str, batch: str, *options: str) -> subprocess.Popen[bytes]:
        """OpenSSH's `sftp` at work on a batch."""
        reach = self.settings(agency)
        trusted = [f"UserKnownHostsFile={self.folder / 'known_hosts'}", "IdentitiesOnly=yes", "BatchMode=yes"]
        command = ["sftp", "-q", "-b", "-", "-F", "none", "-P", str(reach.port), "-i", str(self.folder / agency)]
        words = [word for option in trusted for word in ("-o", option)]
        process = subprocess.Popen(
            [*command, *words, *options, f"{reach.username}@{reach.host}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(batch.encode())
        process.stdin.close()
        return process


@contextmanager
def _bench(above: Path | None, agencies: int) -> Iterator[Bench]:
    codes = [f"agency{number:02}" for number in range(agencies)]
    with tempfile.TemporaryDirectory(prefix="consign-bench-", dir=above) as name:
        folder = Path(name)
        with SandboxHost(folder / "host", codes) as host:
            bench = Bench(folder, host, codes)
            (folder / "known_hosts").write_text(f"[{host.host}]:{host.port} {host.host_key_line}\n")
            for code in codes:
                bench.keys[code] = host.client_key(code)
                (folder / code).touch(mode=0o600)
                (folder / code).write_text(bench.keys[code])
            yield bench


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        assert process.stderr is not None
        said = process.stderr.read()
        if process.wait():
            raise RuntimeError(f"sftp failed: {said.decode(errors='replace')[-300:]}")


def _made(path: Path, size: int, seed: int) -> Outgoing:
    """A file of bytes that no compression helps with."""
    source = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(size // 2**20):
            file.write(source.randbytes(2**20))
        file.write(source.randbytes(size % 2**20))
    with path.open("rb") as file:
        return Outgoing(path, path.name, hashlib.file_digest(file, "sha256").hexdigest())


class Ledger:
    """Where intents are recorded: a table of SQLite's, each batch one commit that is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE intent (name TEXT)")
        self._database.commit()

    def record(self, outgoing: Sequence[Outgoing]) -> None:
        """The intents are durable."""
        self._database.executemany("INSERT INTO intent VALUES (?)", [(one.name,) for one in outgoing])
        self._database.commit()

    def close(self) -> None:
        """Close it."""
        self._database.close()


def _push(bench: Bench, agency: str, outgoing: Sequence[Outgoing]) -> None:
    """Publish, exactly once, over one connection."""
    with closing(Ledger(bench.folder / f"got-{agency}.sqlite")) as ledger, open_drop(bench.settings(agency)) as drop:
        for one, result in drop.push_all(outgoing, ledger.record):
            if result is not Pushed.SENT:
                raise RuntimeError(f"{one.name}: {result}")


def _push_singly(bench: Bench, agency: str, outgoing: Sequence[Outgoing]) -> None:
    """Publish one file after the other, each with its intent in a commit of its own, as the outbox does."""
    with closing(Ledger(bench.folder / f"got-{agency}.sqlite")) as ledger, open_drop(bench.settings(agency)) as drop:
        for one in outgoing:
            result = drop.push(
                one.file, one.name, sha256=one.sha256,
                record_intent=partial(ledger.record, [one]), intent_recorded=False,
            )  # fmt: skip
            if result is not Pushed.SENT:
                raise RuntimeError(f"{one.name}: {result}")


def _fetch(bench: Bench, agency: str) -> None:
    """Collect what waits, over one connection; afterwards it lies where it lay."""
    with open_drop(bench.settings(agency)) as drop:
        claimed = [drop.claim(entry) for entry in drop.waiting()]
        for one in claimed:
            drop.fetch(one, bench.folder / f"got-{agency}-{one.name}")
    for one in claimed:
        inbox = bench.side(agency, FROM_AGENCY)
        (inbox / "claim" / one.held_as).rename(inbox / one.name)


def _at_once(act: Callable[[str], None], agencies: Sequence[str]) -> None:
    with ThreadPoolExecutor(len(agencies)) as pool:
        list(pool.map(act, agencies))


@dataclass
class Turns:
    """What each of several ways cost, turn by turn; the first is the one that the others are compared with."""

    name: str
    ways: dict[str, Callable[[], None]]
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def run(self, bench: Bench, repeats: int) -> Turns:
        """Every way once before it counts, then all in turn, there and back."""
        self.costs = {way: [] for way in self.ways}
        for repeat in range(repeats + 1):
            for way, act in list(self.ways.items())[:: 1 if repeat % 2 else -1]:
                bench.emptied()
                with costing() as cost:
                    act()
                if repeat:
                    self.costs[way].append(cost)
        return self

    def told(self) -> list[dict[str, Any]]:
        """Wall and CPU seconds of each way, and its wall time over that of the first, turn by turn."""
        first = self.costs[next(iter(self.ways))]
        return [
            {
                "what": self.name,
                "way": way,
                **_three("wall_s", [cost.wall_s for cost in costs]),
                **_three("cpu_s", [cost.cpu_s for cost in costs]),
                **_three("wall_ratio", [cost.wall_s / base.wall_s for cost, base in zip(costs, first, strict=True)]),
            }
            for way, costs in self.costs.items()
        ]


def _three(name: str, values: Sequence[float]) -> dict[str, float]:
    return {
        name: round(statistics.median(values), 3),
        f"{name}_min": round(min(values), 3),
        f"{name}_max": round(max(values), 3),
    }


def measured(megabytes: int, files: int, agencies: int, repeats: int, above: Path | None) -> list[dict[str, Any]]:
    """Every comparison, as rows of `Turns.told`."""
    with _bench(above, agencies + 1) as bench:
        one, *many = bench.agencies
        large = _made(bench.folder / "large.bin", megabytes * 2**20, 1)
        put, get = f"put {large.file} {TO_AGENCY}/large.bin\n", f"get {FROM_AGENCY}/large.bin {bench.folder}/got\n"
        (bench.side(one, FROM_AGENCY) / large.name).hardlink_to(large.file)
        small = [_made(bench.folder / f"small{number:04}.bin", SMALL_FILE, number) for number in range(files)]
        puts = "".join(f"put {file.file} {TO_AGENCY}/{file.name}\n" for file in small)
        shared = megabytes * 2**20 // agencies
        shares = {code: _made(bench.folder / f"{code}.bin", shared, at) for at, code in enumerate(many)}
        turns = [
            Turns(
                f"{megabytes} MB up",
                {
                    "sftp": lambda: _ended([bench.sftp(one, put)]),
                    "consign": lambda: _push(bench, one, [large]),
                    "sftp, AES-GCM": lambda: _ended([bench.sftp(one, put, *GCM)]),
                },
            ).run(bench, repeats),
            Turns(
                f"{megabytes} MB down",
                {
                    "sftp": lambda: _ended([bench.sftp(one, get)]),
                    "consign": lambda: _fetch(bench, one),
                    "sftp, AES-GCM": lambda: _ended([bench.sftp(one, get, *GCM)]),
                },
            ).run(bench, repeats),
            Turns(
                f"{files:,} files of {SMALL_FILE // 1000} KB up",
                {
                    "sftp": lambda: _ended([bench.sftp(one, puts)]),
                    "consign": lambda: _push(bench, one, small),
                    "consign, one by one": lambda: _push_singly(bench, one, small),
                    "sftp, synced": lambda: _ended([bench.sftp(one, puts.replace("put ", "put -f "))]),
                },
            ).run(bench, repeats),
            Turns(
                f"{megabytes} MB up, {agencies} agencies at once",
                {
                    "consign, one connection": lambda: _push(bench, one, [large]),
                    "consign": lambda: _at_once(lambda code: _push(bench, code, [shares[code]]), many),
                    "sftp": lambda: _ended(
                        [bench.sftp(code, f"put {shares[code].file} {TO_AGENCY}/share.bin\n") for code in many]
                    ),
                },
            ).run(bench, repeats),
        ]
        for code in many:
            (bench.side(code, FROM_AGENCY) / "share.bin").hardlink_to(shares[code].file)
        turns.append(
            Turns(
                f"{megabytes} MB down, {agencies} agencies at once",
                {
                    "consign, one connection": lambda: _fetch(bench, one),
                    "consign": lambda: _at_once(lambda code: _fetch(bench, code), many),
                    "sftp": lambda: _ended(
                        [bench.sftp(code, f"get {FROM_AGENCY}/share.bin {bench.folder}/got-{code}\n") for code in many]
                    ),
                },
            ).run(bench, repeats)
        )
        return [row for turn in turns for row in turn.told()]


def run(rows: int) -> dict[str, Any]:
    """For `make bench`: `rows` megabytes; the ratio is that of the wall times, large file up."""
    parts = measured(rows, FILES, AGENCIES, REPEATS, MEMORY if MEMORY.is_dir() else None)
    floor, ours = parts[0], parts[1]
    return {
        "name": "drops",
        "rows": rows,
        "cpu_s": ours["cpu_s"],
        "wall_s": ours["wall_s"],
        "peak_mb": round(peak_mb()),
        "floor_cpu_s": floor["cpu_s"],
        "ratio": ours["wall_ratio"],
        "parts": parts,
        "text": table(parts),
    }


def table(parts: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'':<34}{'':<26}{'wall s (min-max)':>22}{'CPU s':>8}{'wall ratio (min-max)':>24}"]
    before = ""
    for one in parts:
        shown, before = ("" if one["what"] == before else one["what"]), one["what"]
        wall = f"{one['wall_s']:.2f} ({one['wall_s_min']:.2f}-{one['wall_s_max']:.2f})"
        ratio = f"{one['wall_ratio']:.2f} ({one['wall_ratio_min']:.2f}-{one['wall_ratio_max']:.2f})"
        lines.append(f"{shown:<34}{one['way']:<26}{wall:>22}{one['cpu_s']:>8.2f}{ratio:>24}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--mb", type=int, default=500, help="size of the large file")
    asked.add_argument("--files", type=int, default=FILES, help="how many small files")
    asked.add_argument("--agencies", type=int, default=AGENCIES, help="how many at once")
    asked.add_argument("--repeats", type=int, default=REPEATS, help="turns that count")
    asked.add_argument("--folder", type=Path, help="where the files lie: a folder on the disk to be measured")
    asked.add_argument("--json", type=Path, help="write the figures there")
    options = asked.parse_args()
    above = options.folder or (MEMORY if MEMORY.is_dir() else None)
    parts = measured(options.mb, options.files, options.agencies, options.repeats, above)
    if options.json:
        options.json.write_text(json.dumps(parts, indent=1) + "\n")
    print(table(parts))


if __name__ == "__main__":
    main()
