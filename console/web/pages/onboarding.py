"""From "hello" to live: how an agency is reached, whose keys count, what it has shown, its evidence, its layout."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Response, UploadFile

from connectors.layouts.profiles import parse_layout
from console.cli.instants import instant
from console.web import handed, sheets
from console.web.frames import records
from console.web.pages import asked, portal
from console.web.pages.agencies import acted, page_of
from console.web.problems import status_of
from console.web.uploading import SealedForms
from console.web.visits import Visiting, needs
from infra import (
    agencykit,
    certificates,
    certification,
    credentials,
    diligence,
    hostkeys,
    jobs,
    layouts,
    onboarding,
    rotation,
)
from infra.outbox import scratch
from models.certification import LEVELS
from models.errors import ConsignError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from console.web.visits import Visit

router = APIRouter(route_class=SealedForms)

Text = Annotated[str, Form()]
ZIP: Final = "application/zip"
PORTS: Final = range(1, 65_536)
UNFIT: Final = 422
"""What was typed is wrong; nothing is wrong with the installation."""
LAYOUT_BYTES: Final = 1 << 20
"""The largest layout profile."""


# -- how it is reached -------------------------------------------------------------------------------------------------


@router.post("/agencies/{code}/drop", dependencies=[needs("agencies.reach")])
def drop(
    visit: Visiting, code: str, kind: Text = "sftp", host: Text = "", port: Text = "22", username: Text = "",
    host_key: Text = "", root: Text = "", to_agency: Text = "to_agency", from_agency: Text = "from_agency",
    limits: Text = "", renames: Text = "",
) -> Response:  # fmt: skip
    """The agency is reached so from now on."""

    def act() -> None:
        lines = [hostkeys.typed(line.strip()) for line in host_key.splitlines() if line.strip()]
        number = asked.number(port) or 22
        if number not in PORTS:
            raise UsageError("that is no port", fix="write a number from 1 to 65535")
        onboarding.reach(
            visit.desk, code, asked.one_of(kind, ("sftp", "folder")), host=host.strip(), port=number,
            username=username.strip(), host_keys=lines,
            root=handed.folder_of(visit.desk, root.strip()) if kind == "folder" else None, to_agency=to_agency.strip(),
            from_agency=from_agency.strip(), stated=limits.split(), renames=bool(renames),
        )  # fmt: skip

    return acted(visit, code, "reach", act, visit.say("It is reached so from now on. Next: try its server out."))


@router.post("/agencies/{code}/probe", dependencies=[needs("agencies.reach")])
def probe(visit: Visiting, code: str) -> Response:
    """A job tries the agency's server out."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'probe', {'agency': code})}")


@router.post("/agencies/{code}/host-keys/scan", dependencies=[needs("agencies.keys")])
def scan(visit: Visiting, code: str) -> Response:
    """A job looks at what the server shows; nothing is trusted for being shown."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'scan_host', {'agency': code})}")


@router.post("/agencies/{code}/host-keys", dependencies=[needs("agencies.keys")])
def add_host_key(
    visit: Visiting, code: str, line: Text = "", begins: Text = "", until: Text = "", old_until: Text = ""
) -> Response:
    """Another host key is pinned, or waits for a second person."""
    return acted(
        visit, code, "reach",
        lambda: hostkeys.add(
            visit.desk, code, hostkeys.typed(line.strip()), begins=_instant(begins), ends=_instant(until),
            others_until=_instant(old_until),
        ),
        visit.say("Handed in. Where the agency is live, a second person approves it."),
    )  # fmt: skip


@router.post("/agencies/{code}/host-keys/retire", dependencies=[needs("agencies.keys")])
def retire_host_key(visit: Visiting, code: str, fingerprint: Text = "", at: Text = "", anyway: Text = "") -> Response:
    """A host key is accepted no more, from now on or from a day on."""
    return acted(
        visit, code, "reach",
        lambda: hostkeys.retire(visit.desk, code, fingerprint.strip(), at=_instant(at), anyway=bool(anyway)),
        visit.say("That host key is accepted no more."),
    )  # fmt: skip


def _instant(text: str) -> datetime | None:
    return instant(text.strip() or None, "the day")


@router.post("/agencies/{code}/credentials", dependencies=[needs("agencies.keys")])
def rotate_credential(visit: Visiting, code: str) -> Response:
    """A new client key of ours stands beside the old one."""
    return acted(
        visit, code, "reach", lambda: credentials.rotate(visit.desk, code),
        visit.say("Made. The agency adds its line beside the old one; then try it."),
    )  # fmt: skip


@router.post("/agencies/{code}/credentials/confirm", dependencies=[needs("agencies.keys")])
def confirm_credential(visit: Visiting, code: str) -> Response:
    """A job logs in with the newest client key alone."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'confirm_login', {'agency': code})}")


@router.post("/agencies/{code}/credentials/retire", dependencies=[needs("agencies.keys")])
def retire_credential(visit: Visiting, code: str, generation: Text = "", anyway: Text = "") -> Response:
    """A client key of ours is offered to its server no more."""
    return acted(
        visit, code, "reach", lambda: credentials.retire(visit.desk, code, generation, anyway=bool(anyway)),
        visit.say("That client key is used no more. Ask the agency to remove its line."),
    )  # fmt: skip


# -- keys --------------------------------------------------------------------------------------------------------------


@router.post("/agencies/{code}/keys", dependencies=[needs("agencies.keys")])
def hand_in_keys(
    visit: Visiting, code: str, encrypt: Text = "", verify: Text = "", begins: Text = "", until: Text = "",
    old_until: Text = "",
) -> Response:  # fmt: skip
    """The agency's public keys are pinned, or wait for a second person."""

    def act() -> None:
        rotation.trust(
            visit.desk, code, _key(encrypt), _key(verify or encrypt), begins=_instant(begins), ends=_instant(until),
            others_until=_instant(old_until),
        )  # fmt: skip

    return acted(visit, code, "keys", act, visit.say("Handed in. Compare the fingerprints by telephone."))


def _key(text: str) -> str:
    return text.replace("\r\n", "\n").strip() + "\n"


@router.get("/agencies/{code}/kit.zip", dependencies=[needs("agencies.see")])
def kit(visit: Visiting, code: str) -> Response:
    """What a new agency needs: guide, scripts, our keys, its settings, schemas, good and bad examples."""
    packed = io.BytesIO()
    with scratch(visit.desk) as folder:
        agencykit.write(visit.desk, code, folder / "kit")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((folder / "kit").rglob("*")):
                if path.is_file():
                    archive.write(path, f"consign-{code}/{path.relative_to(folder / 'kit')}")
    return sheets.download(packed.getvalue(), f"consign-{code}.zip", ZIP)


# -- certification -----------------------------------------------------------------------------------------------------


@router.post("/agencies/{code}/certify", dependencies=[needs("agencies.certify")])
def certify(visit: Visiting, code: str, level: Text = "") -> Response:
    """A job opens the certification and sends its test placement; asked again, it goes on."""
    given = {"agency": code, "level": asked.one_of(level, LEVELS)}
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'certify', given)}")


@router.post("/agencies/{code}/certify/fingerprints", dependencies=[needs("agencies.certify")])
def compare(visit: Visiting, code: str, sign: Text = "", encrypt: Text = "", ours: Text = "") -> Response:
    """What was compared by telephone is on record; a fingerprint that differs stops the certification."""
    return acted(
        visit, code, "certification", lambda: handed.compared(visit.desk, code, sign, encrypt, ours=bool(ours)),
        visit.say("On record."),
    )  # fmt: skip


@router.post("/agencies/{code}/certify/give-up", dependencies=[needs("agencies.certify")])
def give_up(visit: Visiting, code: str) -> Response:
    """The open certification ends without a certificate."""
    return acted(
        visit, code, "certification", lambda: certification.give_up(visit.desk, code), visit.say("It has ended.")
    )


@router.get("/agencies/{code}/certificate.zip", dependencies=[needs("agencies.see")])
def certificate(visit: Visiting, code: str) -> Response:
    """The newest certificate: the signed JSON, its signature, and a page to print."""
    with visit.desk.database.read() as connection:
        run = certificates.certificate(connection, code)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("certificate.json", run.certificate)
        archive.writestr("certificate.json.sig", run.signature)
        archive.writestr("certificate.html", certificates.page(run))
    return sheets.download(packed.getvalue(), f"certificate-{code}.zip", ZIP)


@router.post("/agencies/{code}/waiver", dependencies=[needs("agencies.certify")])
def ask_waiver(visit: Visiting, code: str, level: Text = "", reason: Text = "") -> Response:
    """A waiver is asked for; it counts when somebody of compliance grants it."""
    return acted(
        visit, code, "certification",
        lambda: certificates.ask_waiver(visit.desk, code, asked.one_of(level, LEVELS), reason.strip()),  # type: ignore[arg-type]  # one of the levels it is
        visit.say("Asked for. A second person grants it."),
    )  # fmt: skip


@router.post("/agencies/{code}/waiver/grant", dependencies=[needs("waivers.grant")])
def grant_waiver(visit: Visiting, code: str) -> Response:
    """A second person lets the agency work without a certificate for a while."""
    return acted(
        visit, code, "certification", lambda: certificates.grant_waiver(visit.desk, code), visit.say("Granted.")
    )


# -- evidence ----------------------------------------------------------------------------------------------------------


@router.post("/agencies/{code}/evidence", dependencies=[needs("diligence.change")])
def add_evidence(
    visit: Visiting, code: str, kind: Text = "", since: Text = "", until: Text = "", reference: Text = "",
    document: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Evidence is on record: a document with its hash, or a reference."""
    return acted(
        visit, code, "evidence", lambda: handed.evidence(visit.desk, code, kind, since, until, reference, document),
        visit.say("The evidence is on record."),
    )  # fmt: skip


@router.get("/agencies/{code}/evidence/{diligence_id}", dependencies=[needs("agencies.see")])
def evidence(visit: Visiting, code: str, diligence_id: int) -> Response:
    """The document of one piece of evidence, as it was put on record."""
    name, content = diligence.document(visit.desk, code, diligence_id)
    return sheets.download(content, name, "application/octet-stream")


# -- layouts -----------------------------------------------------------------------------------------------------------


@router.post("/agencies/{code}/layout", dependencies=[needs("layouts.change")])
def agree(visit: Visiting, code: str, layout: Text = "") -> Response:
    """The agency's files are in that layout from now on."""
    return acted(
        visit,
        code,
        "layout",
        lambda: handed.agree(visit.desk, code, layout),
        visit.say("Agreed. Let the agency check a file of each kind before the first."),
    )


@router.post("/agencies/{code}/layout/check", dependencies=[needs("agencies.see")])
def check_sample(visit: Visiting, code: str, file: UploadFile, kind: Text = "") -> Response:
    """What the gateway would say of a file of the agency's. It is neither stored nor delivered."""
    name = portal.plain_name(file.filename)
    try:
        verdict = portal.checked(visit, code, file, name, kind)
    except ConsignError as error:
        return page_of(visit, code, "layout", error=error, status=status_of(error))
    lines = records(verdict.rejects.head(portal.SHOWN))
    return page_of(visit, code, "layout", sample={"name": name, "verdict": verdict, "lines": lines})


@router.get("/layouts", dependencies=[needs("agencies.see")])
def every_layout(visit: Visiting, name: str = "", kind: str = "") -> Response:
    """The layouts of plain files; beside them one, kind by kind, column by column."""
    return _layouts(visit, name, kind)


def _layouts(
    visit: Visit, name: str = "", kind: str = "", *, error: ConsignError | None = None, text: str = "", sound: str = ""
) -> Response:
    known = layouts.known(visit.desk)
    one, columns = None, []
    if name:
        one = layouts.find(visit.desk, asked.one_of(name, {str(row["layout"]) for row in known}))
        columns = layouts.columns_told(one, asked.one_of(kind, one.kinds)) if kind else []
    return visit.page(
        "agencies/layouts.html", status=UNFIT if error else 200, known=known, error=error, name=name,
        kind=kind, one=one and layouts.told(one), toml=one.text if one else "", columns=columns, text=text, sound=sound,
    )  # fmt: skip


@router.post("/layouts", dependencies=[needs("layouts.change")])
def keep_layout(visit: Visiting, text: Text = "", keep: Text = "") -> Response:
    """A layout is checked, and kept under its name and version where that is asked for; a version never changes."""
    plain = text.replace("\r\n", "\n")
    try:
        if len(plain.encode()) > LAYOUT_BYTES:
            raise UsageError("a layout of that size is none", fix="paste one profile")
        found = parse_layout(plain, "the layout")
        if keep:
            layouts.add(visit.desk, found)
    except ConsignError as error:
        return _layouts(visit, error=error, text=plain)
    if keep:
        return visit.go(f"/layouts?name={found.reference}", visit.say("Kept."))
    return _layouts(visit, text=plain, sound=found.reference)


# -- our own keys ------------------------------------------------------------------------------------------------------


@router.post("/keys/rotate", dependencies=[needs("keys.change")])
def rotate_own(
    visit: Visiting, suite: Text = "", begins: Text = "", days: Text = "", old_until: Text = "", announce: Text = ""
) -> Response:
    """A new pair of ours is made; agencies hear of it before it signs."""
    made = rotation.rotate_own(
        visit.desk, asked.one_of(suite, ("age", "openpgp")), begins=_instant(begins), days=asked.number(days),
        older_until=_instant(old_until), announce=bool(announce),
    )  # fmt: skip
    if made.announced_to:
        jobs.ask(visit.desk, "deliver", {})
    told = visit.say(
        "Generation %(generation)s is made; %(count)s agencies are told of it.",
        generation=made.generation, count=len(made.announced_to),
    )  # fmt: skip
    return visit.go("/keys", told)


@router.post("/keys/announce", dependencies=[needs("keys.change")])
def announce_own(visit: Visiting, suite: Text = "", generation: Text = "") -> Response:
    """Every agency that seals this way is told of a pair of ours, each once."""
    told = rotation.announce_own(visit.desk, asked.one_of(suite, ("age", "openpgp")), generation)
    if told:
        jobs.ask(visit.desk, "deliver", {})
    return visit.go("/keys", visit.say("%(count)s agencies are told of it.", count=len(told)))


@router.post("/keys/revoke", dependencies=[needs("keys.change")])
def revoke_own(visit: Visiting, owner: Text = "", generation: Text = "") -> Response:
    """A pair of ours counts no more, at once."""
    rotation.revoke_own(visit.desk, owner, generation)
    return visit.go("/keys", visit.say("Revoked. Telephone every agency: it must not accept what this key signs."))
