"""An erased debtor and a shredded portfolio are nowhere: every byte that the product wrote is searched.

Whoever searches has everything: the home folder, the root key, every backup with its key, the one copy of the keyring.
What they can decrypt is decrypted first. Looked for are the values themselves in every form, the destroyed data keys,
the keyed indexes, and the sealed cells; and every cell of an older backup is tried with every key there is.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import insert, select

from flows.collect import collect
from flows.engine import run
from flows.erase import erase
from flows.intake import intake
from flows.place import place
from flows.plan import draft
from flows.recall import recall_placements
from flows.retain import retain
from flows.score import score
from flows.statement import state_period
from infra import backups, keycopies, shredding
from infra.indexes import debtor_known_by
from infra.sandbox import debtors
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, plans
from infra.store.exchange import PLACEMENTS
from infra.store.portfolios import ACCOUNTS, DEBTORS, IDENTITIES
from keys.backups import open_backup
from keys.keyring import Keyring
from models.intake.fields import IDENTITY
from models.planning.spec import PlanSpec
from models.tables import ExceptionComment

START = date(2026, 1, 5)
CAST = (Cast("quayside", "Quayside Recoveries", share=0.5), Cast("lantern", "Lantern Services", share=0.5))
ACCOUNTS_IN = 40
"""of the portfolio that is shredded; the debtor who is erased is in the other one"""


@dataclass
class Traces:
    """What would betray those who are forgotten, taken down while it is still there."""

    values: set[str]
    indexes: set[bytes]
    cells: list[bytes]
    keys: dict[str, bytes]
    account_ids: set[int] = field(default_factory=set)


def files(world: World) -> Iterator[Path]:
    """Every file that the product wrote; the agencies' own servers, which a sandbox keeps there too, are left out."""
    home = world.desk.settings.home
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.relative_to(home).parts[0] != "agencies":
            yield path


def opened(world: World, scratch: Path) -> dict[str, bytes]:
    """Every file, and what whoever holds the root key can make of it: keyrings and backups in clear."""
    settings = world.desk.settings
    found = {str(path): path.read_bytes() for path in files(world)}
    for path in (settings.keyring_path, keycopies.copy_path(world.desk)):
        if path.exists():
            ring = Keyring.open(path, key_file=settings.key_file_path)
            found[f"{path} in clear"] = json.dumps([one.as_json() for one in ring.entries()]).encode()
    for one in backups.listed(world.desk):
        plain = scratch / one.name
        sealed = settings.backups_path / f"{one.name}.store.age"
        open_backup(sealed, plain, world.desk.keyring.backup_identity(one.name))
        found[f"{sealed} in clear"] = plain.read_bytes()
    return found


def held(content: bytes, needles: dict[str, bytes]) -> set[str]:
    """Which of the byte strings stand in the content."""
    return {name for name, needle in needles.items() if needle in content}


def spellings(keys: dict[str, bytes]) -> dict[str, bytes]:
    """Each key as bytes, hex and base64."""
    told: dict[str, bytes] = {}
    for name, key in keys.items():
        told |= {f"{name} raw": key, f"{name} hex": key.hex().encode(), f"{name} base64": base64.b64encode(key)}
    return told


def traces(world: World, raw: pd.DataFrame, account_ids: set[int]) -> Traces:
    """What there is of these accounts now."""
    with world.desk.database.read() as connection:
        rows = bulk.read(connection, select(IDENTITIES).where(IDENTITIES.c.account_id.in_(account_ids)))
        known = bulk.read(
            connection,
            select(ACCOUNTS.c.ref_index, DEBTORS.c.identity_index)
            .join(DEBTORS, DEBTORS.c.debtor_id == ACCOUNTS.c.debtor_id)
            .where(ACCOUNTS.c.account_id.in_(account_ids)),
        )
    by_telephone = {
        int(index).to_bytes(8, "big", signed=True)  # as SQLite writes a number of 64 bits
        for name in rows.columns
        if name.endswith("_index")
        for index in rows[name].dropna()
    }
    by_text = {str(index).encode() for index in (*known["ref_index"], *known["identity_index"])}
    cells = [cell for name in IDENTITY for cell in rows[name] if cell is not None]
    keys = {key_id: world.desk.keyring.data_key(key_id).key for key_id in map(str, rows["data_key_id"].unique())}
    columns = [name for name in IDENTITY if name in raw and name != "employer"]
    values = {str(value) for name in columns for value in raw[name].dropna()}
    assert by_telephone
    return Traces(values, by_text | by_telephone, cells, keys, account_ids)


def placed_and_worked(world: World, tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two portfolios came in, were placed, worked, stated and scored; people wrote names where they should not."""
    first = debtors.portfolio(3, ACCOUNTS_IN, "harbour", START)
    second = debtors.portfolio(4, 24, "harbour", START)
    for number, raw in enumerate((first, second)):
        path = debtors.write(raw, tmp_path / f"{number}.csv")
        assert intake(path, "consign", "harbour", START).state == "accepted"
    plan_id = draft(PlanSpec.of({"lender": "harbour", "name": "all", "seed": 1})).plan_id
    assert plan_id is not None
    with world.desk.database.write() as connection:
        plans.submit(connection, plan_id, "chen.yu", world.desk.now())
        plans.approve(connection, plan_id, "li.wei", world.desk.now())
    world.clock.turn(date(2026, 1, 6))
    place(plan_id)
    world.clock.turn(date(2026, 1, 20))
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(date(2026, 1, 20), world.clock.now)
        agency.work(0, date(2026, 1, 20), world.clock.now)
    collect()
    state_period("harbour", "2026-01")
    score("harbour")
    with world.desk.database.write() as connection:
        for raw in (first, second):
            text = f"{raw['name'][3]} called from {raw['phone'][3]}"
            connection.execute(
                insert(bulk.table_of(ExceptionComment)).values(
                    exception_id=1, at=world.desk.now(), by="chen.yu", text=text
                )
            )
    return first, second


def all_back(world: World) -> None:
    """Every account is recalled, given back, and certified as erased by its agency."""
    with world.desk.database.read() as connection:
        out = bulk.read(connection, select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.state != "closed"))
    recall_placements(",".join(map(str, out["placement_id"])), "request")
    world.clock.turn(date(2026, 1, 22))
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.give_back(date(2026, 1, 22), world.clock.now)
    collect()
    run(erase)
    world.clock.turn(date(2026, 1, 24), hour=20)
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.erase(date(2026, 1, 24), world.clock.now)
    collect()


def opens(world: World, plain: Path, account_ids: set[int]) -> set[int]:
    """Those of the accounts whose identity in this store's file opens with any key that any keyring here has."""
    rings = (world.desk.settings.keyring_path, keycopies.copy_path(world.desk))
    keys = {
        base64.b64decode(entry.secret["key"])
        for path in rings
        for entry in Keyring.open(path, key_file=world.desk.settings.key_file_path).entries()
        if entry.purpose == "data" and not entry.destroyed
    }
    with closing(sqlite3.connect(plain)) as store:
        rows = store.execute("SELECT account_id, name FROM identity WHERE name IS NOT NULL").fetchall()
    found = set()
    for account_id, cell in rows:
        bound = b"consign.cell.v1|name" + np.array([account_id], dtype=">i8").tobytes()
        if account_id in account_ids and any(_opens(key, cell, bound) for key in keys):
            found.add(account_id)
    return found


def _opens(key: bytes, cell: bytes, bound: bytes) -> bool:
    try:
        AESGCM(key).decrypt(cell[:12], cell[12:], bound)
    except InvalidTag:
        return False
    return True


def in_database(found: dict[str, bytes], world: World) -> bytes:
    """The bytes of the store's file, its log and its shared memory."""
    path = str(world.desk.database.url.database)
    return b"".join(content for name, content in found.items() if name.startswith(path))


def found_while_there(world: World, scratch: Path, search: Any, doomed: Traces, said: set[str]) -> Path:
    """The search finds all of it while it is there. Returns a backup of that moment, in clear, for somebody to keep."""
    made = backups.make(world.desk)
    found = opened(world, scratch)
    everything = b"\0".join(found.values())
    assert {value for value, _ in search(said).found(everything)} == said
    assert len(held(everything, spellings(doomed.keys))) == len(doomed.keys)
    assert all(index in in_database(found, world) for index in doomed.indexes)
    assert all(cell in in_database(found, world) for cell in doomed.cells)
    plain = scratch / "kept"
    sealed = world.desk.settings.backups_path / f"{made.name}.store.age"
    open_backup(sealed, plain, world.desk.keyring.backup_identity(made.name))
    assert opens(world, plain, doomed.account_ids) == doomed.account_ids
    return plain


def found_nowhere(world: World, scratch: Path, search: Any, doomed: Traces) -> None:
    """No byte of it is anywhere."""
    found = opened(world, scratch)
    looking = search(doomed.values)
    assert {name: looking.found(content) for name, content in found.items() if looking.found(content)} == {}
    gone = spellings(doomed.keys)
    assert {name: held(content, gone) for name, content in found.items() if held(content, gone)} == {}
    in_clear = [content for name, content in found.items() if name.endswith(".store.age in clear")]
    assert len(in_clear) == 1
    database = in_database(found, world) + in_clear[0]
    assert [index for index in doomed.indexes if index in database] == []
    assert [cell for cell in doomed.cells if cell in database] == []


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("engine")
def test_an_erased_debtor_and_a_shredded_portfolio_are_nowhere(
    tmp_path: Path, search: Any, needs: Callable[[str], Path]
) -> None:
    needs("age")
    scratch = tmp_path / "searcher"
    scratch.mkdir()
    with open_world(
        tmp_path / "home", seed=5, start=START, cast=CAST, lenders={"harbour": "Harbour"}, sftp=False,
        engine="prefect", shard_rows=24, identities_per_key=8,
    ) as world:  # fmt: skip
        desk = world.desk
        first, second = placed_and_worked(world, tmp_path)
        with desk.database.read() as connection:
            debtor = debtor_known_by(connection, desk.keyring, "harbour", second["account_ref"][3])
            whose = select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.debtor_id == debtor)
            theirs = set(connection.execute(whose).scalars())
        one = traces(world, second[second["id_number"] == second["id_number"][3]], theirs)
        many = traces(world, first, set(range(1, ACCOUNTS_IN + 1)))
        others = {str(value) for name in IDENTITY if name in second for value in second[name].dropna()} - one.values
        doomed = Traces(
            (one.values | many.values) - others, one.indexes | many.indexes, one.cells + many.cells,
            one.keys | many.keys, one.account_ids | many.account_ids,
        )  # fmt: skip
        said = {second["name"][3], second["phone"][3], first["name"][3], first["phone"][3]}
        kept = found_while_there(world, scratch, search, doomed, said)

        all_back(world)
        assert shredding.erase_debtor(desk, debtor, "a request of the debtor, number 12").swept
        number = shredding.ask_portfolio(desk, 1, "the lender has sold the portfolio")
        desk.actor = "li.wei"
        assert shredding.shred(desk, number).swept
        world.clock.turn(date(2026, 1, 25), hour=3)
        backups.make(desk)
        run(retain)

        found_nowhere(world, scratch, search, doomed)
        assert opens(world, kept, doomed.account_ids) == set(), "an older backup, with every key there is"
        with desk.database.read() as connection:
            left = set(connection.execute(select(IDENTITIES.c.account_id)).scalars())
        assert len(left) == len(second) - len(one.account_ids), "nobody else is forgotten"
        assert opens(world, Path(str(desk.database.url.database)), left) == left
        assert (desk.settings.home / "prefect" / "prefect.db").stat().st_size > 100_000
