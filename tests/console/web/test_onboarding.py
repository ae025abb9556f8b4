"""An agency from "hello" to live at the console: its server, its keys, what it has shown, its evidence, its layout."""

from __future__ import annotations

import getpass
import html
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from console.web.app import create_app
from flows import jobs
from infra import hostkeys, probes
from infra.people import tokens
from infra.sandbox.host import SandboxHost
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk, exchange
from keys.keyring import Keyring
from models.tables import AgencyContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infra.wiring import Desk
    from tests.console.web.conftest import As, StillClock

AT = "/agencies/quayside"


@pytest.fixture
def two(desk: Desk) -> Desk:
    """The house where a second person approves what is pinned."""
    desk.settings = desk.settings.model_copy(update={"two_people": True})
    return desk


@pytest.fixture
def sshd(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[SandboxHost]:
    """A real server with a directory for quayside, that lets nobody in yet."""
    needs("sshd")
    with SandboxHost(tmp_path / "sshd", ["quayside"]) as host:
        yield host


@pytest.fixture
def their_keys(tmp_path: Path, clock: StillClock) -> dict[str, str]:
    """A pair that the agency makes for itself: its public halves, with their fingerprints."""
    ring = Keyring.create(tmp_path / "theirs.json", key_file=tmp_path / "theirs.key")
    ring.new_own_keys("age", clock(), valid_days=365)
    return ring.public_keys("age", clock())


def form_of(host: SandboxHost, **more: str) -> dict[str, str]:
    return {"kind": "sftp", "host": host.host, "port": str(host.port), "username": getpass.getuser(),
            "to_agency": "to_agency", "from_agency": "from_agency", "renames": "1"} | more  # fmt: skip


# -- how it is reached -------------------------------------------------------------------------------------------------


def test_a_host_key_is_handed_in_by_one_approved_by_another_and_then_the_server_is_reached(
    two: Desk, browse: As, sshd: SandboxHost
) -> None:
    operations, second = browse("operations"), browse("second")
    line, fingerprint = sshd.host_key_line, hostkeys.fingerprint_of(sshd.host_key_line)
    refused = operations.send(f"{AT}/drop", at=AT, **form_of(sshd, host_key=line))
    assert refused.status_code == 403
    assert "a second person approves its host key" in refused.text
    assert operations.send(f"{AT}/host-keys", at=AT, line=line).status_code == 303
    assert "Waits for a second person" in operations.get(f"{AT}?tab=reach").text
    assert operations.send(f"{AT}/host-keys/approve", at=AT, fingerprint=fingerprint).status_code == 403
    assert second.send(f"{AT}/host-keys/approve", at=AT, fingerprint="SHA256:other").status_code == 422
    assert second.send(f"{AT}/host-keys/approve", at=AT, fingerprint=f" {fingerprint} ").status_code == 303
    assert operations.send(f"{AT}/drop", at=AT, **form_of(sshd)).status_code == 303
    sshd.authorize("quayside", two.keyring.ssh_client_public("quayside", two.now()))
    asked = operations.send(f"{AT}/probe", at=AT)
    assert asked.headers["location"].startswith("/jobs/")
    jobs.work_off(two)
    assert probes.kept(two, "quayside").can["rename"] is True
    page = operations.get(f"{AT}?tab=reach").text
    assert "Tried out" in page
    assert '<span class="code">rename</span>' in page


def test_what_a_server_shows_is_looked_at_and_nothing_is_trusted_for_it(
    two: Desk, browse: As, sshd: SandboxHost
) -> None:
    operations = browse("operations")
    two.settings = two.settings.model_copy(update={"two_people": False})
    assert operations.send(f"{AT}/drop", at=AT, **form_of(sshd, host_key=sshd.host_key_line)).status_code == 303
    new = hostkeys.fingerprint_of(sshd.change_host_key())
    assert operations.send(f"{AT}/host-keys/scan", at=AT).status_code == 303
    jobs.work_off(two)
    page = operations.get(f"{AT}?tab=reach").text
    assert new in page
    assert "Pin it" in page
    assert [one["state"] for one in hostkeys.listed(two, "quayside")] == ["valid"]
    operations.send(f"{AT}/probe", at=AT)
    jobs.work_off(two)
    assert "The last try failed" in operations.get(f"{AT}?tab=reach").text
    (old,) = hostkeys.listed(two, "quayside")
    retired = operations.send(f"{AT}/host-keys/retire", at=AT, fingerprint=old["fingerprint"])
    assert retired.status_code == 403
    assert operations.send(f"{AT}/host-keys", at=AT, line=sshd.host_key_line).status_code == 303
    assert operations.send(f"{AT}/host-keys/retire", at=AT, fingerprint=old["fingerprint"]).status_code == 303
    assert {one["fingerprint"]: one["state"] for one in hostkeys.listed(two, "quayside")}[new] == "valid"


def test_our_client_key_is_renewed_tried_and_the_old_one_retired(two: Desk, browse: As, sshd: SandboxHost) -> None:
    operations = browse("operations")
    two.settings = two.settings.model_copy(update={"two_people": False})
    operations.send(f"{AT}/drop", at=AT, **form_of(sshd, host_key=sshd.host_key_line))
    assert operations.send(f"{AT}/credentials", at=AT).status_code == 303
    assert operations.send(f"{AT}/credentials/retire", at=AT, generation="1").status_code == 403
    line = two.keyring.ssh_clients("quayside")[0].public["line"]
    assert line.split()[1] in operations.get(f"{AT}?tab=reach").text
    sshd.authorize("quayside", line)
    operations.send(f"{AT}/credentials/confirm", at=AT)
    jobs.work_off(two)
    assert operations.send(f"{AT}/credentials/retire", at=AT, generation="1").status_code == 303


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "ftp"}, "none of the choices"),
        ({"host": ""}, "needs a host"),
        ({"host_key": "not a key"}, "There is a problem"),
        ({"port": "70000"}, "that is no port"),
        ({"limits": "speed=3"}, "no limit of a drop"),
        ({"kind": "folder", "root": ""}, "needs its root"),
        ({"kind": "folder", "root": "relative/path"}, "that folder is not there"),
        ({"kind": "folder", "root": "/nowhere/at/all"}, "that folder is not there"),
        ({"kind": "folder", "root": "/"}, "our own files lie"),
    ],
)
def test_a_drop_that_cannot_be_right_changes_nothing(desk: Desk, browse: As, given: dict[str, str], said: str) -> None:
    with desk.database.read() as connection:
        before = exchange.agency(connection, "quayside").drop
    form = {"kind": "sftp", "host": "127.0.0.1", "port": "22", "username": "me", "renames": "1"} | given
    answer = browse("operations").send(f"{AT}/drop", at=AT, **form)
    assert answer.status_code in {403, 422}, answer.text
    assert said in answer.text
    with desk.database.read() as connection:
        assert exchange.agency(connection, "quayside").drop == before


def test_no_folder_of_the_house_s_own_becomes_a_drop(desk: Desk, browse: As) -> None:
    operations = browse("operations")
    for own in (desk.settings.home, desk.settings.keyring_path.parent, desk.settings.home.parent):
        answer = operations.send(f"{AT}/drop", at=AT, kind="folder", root=str(own.resolve()))
        assert answer.status_code == 422, own
    fit = desk.folder("agencies") / "fresh"
    fit.mkdir()
    assert operations.send(f"{AT}/drop", at=AT, kind="folder", root=str(fit), renames="1").status_code == 303
    assert browse("portfolio_manager").send(f"{AT}/drop", at=AT, kind="folder", root=str(fit)).status_code == 403


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_of_a_live_agency_are_handed_in_by_one_and_approved_by_another_who_types_them(
    two: Desk, browse: As, their_keys: dict[str, str]
) -> None:
    operations, second = browse("operations"), browse("second")
    given = {"encrypt": their_keys["encrypt"], "verify": their_keys["verify"]}
    assert operations.send(f"{AT}/keys", at=AT, encrypt="garbage", verify="garbage").status_code >= 400
    assert operations.send(f"{AT}/keys", at=AT, **given).status_code == 303
    page = second.get(f"{AT}?tab=keys").text
    assert "Keys wait for a second person" in page
    request = page.partition(f"{AT}/keys/")[2].partition("/approve")[0]
    prints = {"encrypt": their_keys["encrypt_fingerprint"], "verify": their_keys["fingerprint"]}
    assert operations.send(f"{AT}/keys/{request}/approve", at=AT, **prints).status_code == 403
    assert second.send(f"{AT}/keys/{request}/approve", at=AT, **prints | {"verify": "SHA256:x"}).status_code >= 400
    assert second.send(f"{AT}/keys/{request}/approve", at=AT, **prints).status_code == 303
    assert their_keys["fingerprint"] in {one.fingerprint for one in two.keyring.trusted_keys("quayside", "age")}


def test_the_kit_holds_our_public_keys_and_no_secret(browse: As) -> None:
    answer = browse("operations").get(f"{AT}/kit.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as kit:
        names = kit.namelist()
        text = b"".join(kit.read(name) for name in names)
    assert "consign-quayside/keys/lender.age" in names
    assert b"PRIVATE KEY" not in text
    assert b"AGE-SECRET" not in text


def test_a_pair_of_ours_is_renewed_announced_and_revoked(desk: Desk, browse: As) -> None:
    operations = browse("operations")
    before = {one.generation for one in desk.keyring.own_keys("age")}
    assert operations.send("/keys/rotate", at="/keys", suite="rot13").status_code == 422
    assert operations.send("/keys/rotate", at="/keys", suite="age", announce="1").status_code == 303
    (new,) = {one.generation for one in desk.keyring.own_keys("age")} - before
    assert "Not yet in force" in operations.get("/keys").text
    assert operations.send("/keys/announce", at="/keys", suite="age", generation=new).status_code == 303
    assert operations.send("/keys/revoke", at="/keys", owner="age", generation=new).status_code == 303
    assert operations.send("/keys/revoke", at="/keys", owner="age", generation="99").status_code >= 400
    assert browse("compliance").send("/keys/rotate", at="/keys", suite="age").status_code == 403


# -- certification -----------------------------------------------------------------------------------------------------


def test_a_certification_begins_is_compared_by_telephone_and_stops_at_a_wrong_fingerprint(
    desk: Desk, browse: As
) -> None:
    operations = browse("operations")
    tab = f"{AT}?tab=certification"
    assert "No certification has begun" in operations.get(tab).text
    assert operations.send(f"{AT}/certify", at=AT, level="all").status_code == 422
    assert operations.send(f"{AT}/certify", at=AT, level="exchange").status_code == 303
    jobs.work_off(desk)
    page = operations.get(tab).text
    assert "Under way" in page
    assert "keys_heard" in page
    assert operations.send(f"{AT}/certify/fingerprints", at=AT).status_code == 422
    held = desk.keyring.trusted_keys("quayside", "age")[0]
    told = {"sign": held.fingerprint, "encrypt": held.public["encrypt_fingerprint"], "ours": "1"}
    assert operations.send(f"{AT}/certify/fingerprints", at=AT, **told).status_code == 303
    assert operations.send(f"{AT}/certify/fingerprints", at=AT, sign="SHA256:other").status_code == 409
    assert "Stopped" in operations.get(tab).text
    assert operations.get(f"{AT}/certificate.zip").status_code == 422
    assert browse("finance").send(f"{AT}/certify", at=AT, level="work").status_code == 403


def test_a_waiver_is_asked_by_one_and_granted_by_somebody_of_compliance(browse: As) -> None:
    operations, second = browse("operations"), browse("second")
    asked = {"level": "money", "reason": "until the audit in April is done"}
    assert second.send(f"{AT}/waiver", at=AT, **asked | {"reason": "因为"}).status_code == 422
    assert second.send(f"{AT}/waiver", at=AT, **asked).status_code == 303
    assert second.send(f"{AT}/waiver/grant", at=AT).status_code == 403
    assert operations.send(f"{AT}/waiver/grant", at=AT).status_code == 403
    assert browse("compliance").send(f"{AT}/waiver/grant", at=AT).status_code == 303
    assert browse("compliance").send(f"{AT}/waiver/grant", at=AT).status_code == 422


# -- evidence and layouts ----------------------------------------------------------------------------------------------


def test_evidence_is_put_on_record_with_its_document_and_taken_away_as_it_was(desk: Desk, browse: As) -> None:
    compliance = browse("compliance")
    compliance.get(f"{AT}?tab=evidence")
    fields = {"_form": compliance.word, "kind": "licence", "since": "2026-01-01", "until": "2026-12-31"}
    file = {"document": ("../../licence.pdf", b"%PDF-1.4 the licence")}
    assert compliance.post(f"{AT}/evidence", data=fields, files=file).status_code == 303
    page = compliance.get(f"{AT}?tab=evidence").text
    number = page.partition(f'href="{AT}/evidence/')[2].partition('"')[0]
    away = compliance.get(f"{AT}/evidence/{number}")
    assert away.content == b"%PDF-1.4 the licence"
    assert away.headers["content-disposition"].startswith("attachment")
    assert compliance.get(f"/agencies/hengxin/evidence/{number}").status_code == 422
    for wrong in ({"kind": "gossip"}, {"until": "2025-01-01"}, {"since": "soon"}):
        assert compliance.post(f"{AT}/evidence", data=fields | wrong, files=file).status_code == 422, wrong
    assert compliance.send(f"{AT}/evidence", kind="licence").status_code == 422
    assert compliance.send(f"{AT}/evidence", kind="licence", reference="register of 2026-01-05").status_code == 303
    assert browse("operations").send(f"{AT}/evidence", at=AT, kind="licence", reference="x").status_code == 403
    assert not list(desk.folder("scratch").iterdir())


def test_a_layout_is_agreed_by_name_alone_and_a_sample_is_checked_by_it(browse: As, tmp_path: Path) -> None:
    operations = browse("operations")
    stray = tmp_path / "mine.toml"
    stray.write_text("name = 'mine'")
    assert operations.send(f"{AT}/layout", at=AT, layout=str(stray)).status_code == 422
    assert operations.send(f"{AT}/layout", at=AT, layout="cn-flat-gb18030@1").status_code == 303
    page = operations.get(f"{AT}?tab=layout").text
    assert "cn-flat-gb18030@1" in page
    fields = {"_form": operations.word, "kind": "acknowledgement"}
    checked = operations.post(f"{AT}/layout/check", data=fields, files={"file": ("sample.txt", b"a,b\n1,2\n")})
    assert checked.status_code == 200
    assert "would be re" in checked.text
    assert operations.send(f"{AT}/layout", at=AT, layout="package").status_code == 303
    assert browse("finance").send(f"{AT}/layout", at=AT, layout="package").status_code == 403


def test_a_layout_is_checked_then_kept_and_a_version_never_changes(browse: As) -> None:
    operations = browse("operations")
    text = operations.get("/layouts?name=cn-xlsx@1").text.partition('<pre class="terms" tabindex="0">')[2]
    toml = html.unescape(text.partition("</pre>")[0]).replace('"cn-xlsx"', '"house-xlsx"')
    assert "There is a problem" in operations.send("/layouts", at="/layouts", text="name = ").text
    assert "is sound" in operations.send("/layouts", at="/layouts", text=toml).text
    assert "house-xlsx@1" not in operations.get("/layouts").text
    kept = operations.send("/layouts", at="/layouts", text=toml.replace("\n", "\r\n"), keep="1")
    assert kept.headers["location"] == "/layouts?name=house-xlsx@1"
    changed = operations.send("/layouts", at="/layouts", text=toml + "\n# another\n", keep="1")
    assert changed.status_code == 422
    assert operations.get("/layouts?name=/etc/passwd").status_code == 422
    assert operations.get("/layouts?name=house-xlsx@1&kind=placement").status_code == 200


# -- through the API ---------------------------------------------------------------------------------------------------


def test_programs_put_debtors_on_hold_agree_terms_and_hand_keys_in_as_their_persons(
    two: Desk, their_keys: dict[str, str]
) -> None:
    def head(actor: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.make(two.acting(actor), actor, 'tests').token}"}

    with two.database.read() as connection:
        table = bulk.table_of(AgencyContract)
        terms = connection.execute(select(table.c.terms).where(table.c.agency == "quayside")).scalars().first()
    operations, finance, all_of_them = head(STAFF["operations"]), head(STAFF["finance"]), head(SECOND)
    with TestClient(create_app(two)) as client:
        asked = {"agency": "quayside", "lender": "harbour", "effective_from": "2026-07-01",
                 "terms": str(terms).replace("0.22", "0.23"), "why": "agreed by letter of March"}  # fmt: skip
        assert client.post("/api/v1/contracts", json=asked, headers=operations).status_code == 403
        made = client.post("/api/v1/contracts", json=asked, headers=finance)
        assert made.status_code == 202, made.text
        number = made.json()["items"][0]["proposal_id"]
        at = f"/api/v1/contracts/proposals/{number}/approve"
        assert client.post(at, headers=finance).status_code == 403
        assert client.post(at, headers=all_of_them).status_code == 204
        listed = client.get("/api/v1/contracts?agency=quayside", headers=finance).json()["items"]
        assert "2026-07-01" in {one["effective_from"][:10] for one in listed}
        given = {"encrypt": their_keys["encrypt"], "verify": their_keys["verify"]}
        keys = client.post("/api/v1/agencies/quayside/keys", json=given, headers=operations)
        assert keys.json()["items"][0]["state"] == "waiting"
        read = {"encrypt": their_keys["encrypt_fingerprint"], "verify": their_keys["fingerprint"]}
        at = f"/api/v1/agencies/quayside/keys/{keys.json()['items'][0]['request_id']}/approve"
        assert client.post(at, json=read, headers=operations).status_code == 403
        assert client.post(at, json=read, headers=all_of_them).status_code == 204
        hold = {"lender": "harbour", "account": "no such number", "reason": "complaint"}
        assert client.post("/api/v1/holds", json=hold, headers=all_of_them).status_code == 422
        assert client.post("/api/v1/holds", json=hold, headers=finance).status_code == 403
        paused = client.post("/api/v1/schedules/recall/pause", headers=all_of_them)
        assert paused.status_code == 409
        assert len(client.get("/api/v1/schedules", headers=finance).json()["items"]) >= 10


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_tab_and_page_of_onboarding_is_fit_for_everybody(page_as: Any, language: str) -> None:
    window = page_as("second", language)
    for tab in ("reach", "keys", "certification", "evidence", "layout"):
        window.go(f"{AT}?tab={tab}")
    for path in ("/layouts?name=cn-xlsx@1&kind=placement", "/keys"):
        window.go(path)
