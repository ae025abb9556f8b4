"""Placing: from the database to sealed and delivered on a local sshd, against the same bytes through age and sftp."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.filled import AS_OF, NOW, PLAN_ID
from tests.benchmarks.measure import Cost, Stages, costing, cpu_of, cpu_of_program

if TYPE_CHECKING:
    from infra.sandbox.agency import SandboxAgency
    from infra.sandbox.world import World


def run(rows: int) -> dict[str, Any]:
    """Place that many accounts with six agencies; the store is filled by another process, and not measured."""
    from flows.place import place
    from infra.sandbox.world import open_world

    with (
        tempfile.TemporaryDirectory(prefix="consign-bench-") as folder,
        open_world(Path(folder), seed=1, start=AS_OF, engine="direct") as world,
    ):
        key = world.desk.keyring.new_data_key(NOW)
        filler = [sys.executable, str(Path(__file__).with_name("filled.py")), folder, str(rows), key.key_id]
        subprocess.run(filler, check=True)
        server = world.host._process.pid  # type: ignore[attr-defined]
        before = cpu_of(server)
        stages = _watched()
        with costing() as cost:
            report = place(plan_id=PLAN_ID)
        stages.stop()
        assert report.accounts == rows, report
        return {
            "name": "place",
            "rows": rows,
            **_measured(cost, stages),
            "server_cpu_s": round(cpu_of(server) - before, 2),
            **_floor(world, cost),
        }


def _watched() -> Stages:
    """Timers around the parts of placing."""
    import zipfile

    import paramiko
    from sqlalchemy.engine.default import DefaultDialect

    import flows.place
    from connectors.layouts.package import PackageWriter
    from infra import gate, outbox, packages, packing
    from infra.store import bulk, exchange
    from models import release

    stages = Stages()
    stages.watch(flows.place, "prepare", "prepare rows")
    stages.watch(outbox, "send", "other")
    stages.watch(packages, "opened_identities", "open identity")
    stages.watch(
        bulk,
        "read",
        "other",
        inside={"prepare rows": "prepare rows", "other": "read"},
    )
    stages.watch(packages, "_named", "pseudonymise")
    stages.watch(release, "minimise", "minimise")
    stages.watch(PackageWriter, "write", "write csv")
    stages.watch(zipfile._ZipWriteFile, "write", "zip")  # type: ignore[attr-defined]
    stages.watch(packing, "seal_for", "seal")
    stages.watch(gate, "through", "gate")
    stages.watch(outbox, "deliver", "deliver")
    stages.watch(paramiko.Transport, "run", "deliver")
    stages.watch(exchange, "delivered", "commit")
    stages.watch(DefaultDialect, "do_commit", "commit")
    return stages


def _measured(cost: Cost, stages: Stages) -> dict[str, Any]:
    parts = {name: round(seconds, 2) for name, seconds in sorted(stages.seconds.items(), key=lambda one: -one[1])}
    return {
        "cpu_s": round(cost.cpu_s, 2),
        "wall_s": round(cost.wall_s, 2),
        "peak_mb": round(cost.peak_mb),
        "child_cpu_s": round(cost.child_cpu_s, 2),
        "stages": {**parts, "unattributed": round(cost.self_cpu_s - sum(stages.seconds.values()), 2)},
    }


def _floor(world: World, cost: Cost) -> dict[str, Any]:
    """The very packages that left, through `age` and OpenSSH's `sftp`: CPU seconds of those programs, and the ratio."""
    sealing = sending = 0.0
    plain_bytes = sent_bytes = 0
    folder = world.desk.folder("scratch") / "floor"
    folder.mkdir(mode=0o700)
    for agency in world.agencies.values():
        plain = _opened(world, agency, folder)
        plain_bytes += plain.stat().st_size
        sealed = plain.with_suffix(".age")
        recipient = _a_recipient(world)
        sealing += cpu_of_program(["age", "-r", recipient, "-o", str(sealed), str(plain)])
        plain.unlink()
        sent_bytes += sealed.stat().st_size
        sending += _sent(world, agency.code, sealed)
        sealed.unlink()
    floor = sealing + sending
    return {
        "package_mb": round(plain_bytes / 2**20, 1),
        "floor_parts": {"age": round(sealing, 2), "sftp": round(sending, 2)},
        "floor_cpu_s": round(floor, 2),
        "ratio": round(cost.cpu_s / floor, 1),
    }


def _opened(world: World, agency: SandboxAgency, folder: Path) -> Path:
    from keys.sealing import open_from, suite_named

    (sealed,) = agency.inbox.glob(f"*.placement.*{suite_named(agency.suite).suffix}")
    plain = folder / f"{agency.code}.zip"
    open_from(agency.keyring, agency.lender_key_name, agency.suite, sealed, plain, world.desk.now())
    return plain


def _a_recipient(world: World) -> str:
    """Some age key: half of the agencies use the other suite, and the floor is the same for all."""
    agency = next(one for one in world.agencies.values() if one.suite == "age")
    return agency.keyring.public_keys("age", world.desk.now())["encrypt"]


def _sent(world: World, agency: str, file: Path) -> float:
    key, known = file.with_name("client_key"), file.with_name("known_hosts")
    key.touch(mode=0o600)
    key.write_text(world.desk.keyring.ssh_client_key(agency))
    reach = world.host.settings_for(agency, "")
    known.write_text("".join(f"[{reach.host}]:{reach.port} {line}\n" for line in reach.host_keys))
    options = ["IdentitiesOnly=yes", f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    batch = f"put {file} {reach.to_agency}/floor.bin\nrm {reach.to_agency}/floor.bin\n"
    return cpu_of_program(
        [
            "sftp", "-q", "-b", "-", "-F", "none", "-P", str(reach.port), "-i", str(key),
            *(word for option in options for word in ("-o", option)), f"{reach.username}@{reach.host}",
        ],
        batch.encode(),
    )  # fmt: skip
