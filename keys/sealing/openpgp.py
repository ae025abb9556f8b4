"""The `openpgp` suite: GnuPG, sign and encrypt in one, compression off (the ZIP inside is compressed already).

Every act runs in a GnuPG home of its own, made for it in memory-backed storage where there is any and thrown away
afterwards, agent and all. So two processes never share an agent, a key that is not pinned is not even present, the
keyring file is the only place where keys live, and the agent's socket path stays below its limit of 108 characters.
GnuPG's clock is set to `now`, so that it judges expiry at the same instant as we do.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gnupg

from keys.entries import NO_SKEW, accepted_signer, opens, refuse_to_seal_unless_valid, why_not
from keys.errors import KeyUnfit, OpenRefused, ProgramMissing, SealRefused
from keys.files import replacing, system_fault
from keys.sealing.packets import cut_short
from keys.sealing.suite import NewKeys, Opened, PublicKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keys.entries import Entry
    from keys.errors import RefusalCode

# python-gnupg logs what it passes on, content included; what went wrong is in our errors.
logging.getLogger("gnupg").setLevel(logging.CRITICAL + 1)

_NAME: Final = "consign"
_LONGEST_FOLDER: Final = 64  # leaves room for /consign-xxxxxxxx/S.gpg-agent.browser below the 108 of a socket's path
_S2K_COUNT: Final = 65_536  # the passphrase is 256 random bits: stretching it only costs time, at every start
_AGENT_STOPS_WITHIN_S: Final = 10
_PRIVATE_KEYS: Final = "private-keys-v1.d"
_READ_BYTES: Final = 262_144
_HEAD_BYTES: Final = 65_536
_SEND_AGAIN: Final = "ask the sender to send it again"
_PLAIN_ENGLISH: Final = {"LC_ALL": "C", "LANGUAGE": "C"}  # its sentences are read here
_HIDDEN: Final = "0" * 16  # the key id that `gpg --throw-keyids` writes
_TIMED_OUT: Final = (124, 137)  # what `timeout` ends with: asked, and after that killed
_KILLED_AFTER_S: Final = 5


class _Limited(gnupg.GPG):  # type: ignore[misc]  # python-gnupg has no types
    """The program, ended by `timeout` of coreutils where it takes longer than `OpenPgpSuite.within_s`."""

    def make_args(self, args: list[str], passphrase: bool) -> list[str]:  # noqa: FBT001 - python-gnupg calls it so
        """Return the command line that python-gnupg will run."""
        command: list[str] = super().make_args(args, passphrase)
        if shutil.which("timeout") is None:
            return command
        limit = [f"--kill-after={_KILLED_AFTER_S}", str(OpenPgpSuite.within_s)]
        return ["timeout", "--foreground", *limit, *command]

    def _collect_output(self, process: subprocess.Popen[bytes], *arguments: Any, **more: Any) -> None:
        """Wait for the program; raises TimeoutError where it was ended, which python-gnupg would call an answer."""
        super()._collect_output(process, *arguments, **more)
        if process.returncode in _TIMED_OUT:
            raise TimeoutError(f"gpg took more than {OpenPgpSuite.within_s:g} s, and was ended")


class OpenPgpSuite:
    """OpenPGP by the GnuPG program, through python-gnupg."""

    name = "openpgp"
    suffix = ".pgp"
    within_s: float = 900.0
    """How long one run of GnuPG may take, seconds; of the process, for there is one of each suite (infra/wiring)."""

    def sidecars(self, sealed: Path) -> tuple[Path, ...]:  # noqa: ARG002 - the signature is inside
        """Return nothing: one file holds all."""
        return ()

    def new_keys(self, now: datetime, valid_until: datetime) -> NewKeys:
        """Return a fresh Ed25519 key with a Curve25519 subkey that expire at `valid_until` by themselves."""
        passphrase = secrets.token_urlsafe(32)
        with _gnupg(now) as (home, program):
            asked = (
                "Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign,cert\n"
                "Subkey-Type: ecdh\nSubkey-Curve: cv25519\nSubkey-Usage: encrypt\n"
                f"Name-Real: {_NAME}\nExpire-Date: seconds={int((valid_until - now).total_seconds())}\n"
                f"Passphrase: {passphrase}\n%commit\n"
            )
            made = program.gen_key(asked)
            if not made.fingerprint:  # it waits five seconds for its agent, which a busy machine may not have started
                made = program.gen_key(asked)
            if not made.fingerprint:
                raise KeyUnfit("gpg made no key", fix="run `gpg --version`: 2.2 or later is needed")
            public = _public(program, made.fingerprint)
            halves = {f"key:{path.name}": _text(path.read_bytes()) for path in (home / _PRIVATE_KEYS).iterdir()}
        return NewKeys(made.fingerprint, public, {"passphrase": passphrase} | halves)

    def read_public(self, encrypt: str, verify: str, now: datetime) -> PublicKeys:
        """Return the agency's key; raises KeyUnfit unless each text holds one key that is fit for its use now."""
        sealing, until = _read_one(encrypt, "E", "encryption", now)
        signing, also_until = _read_one(verify, "S", "verification", now)
        public = {
            "encrypt": sealing["encrypt"],
            "encrypt_packets": sealing["encrypt_packets"],
            "encrypt_fingerprint": sealing["fingerprint"],
            "verify": signing["verify"],
            "verify_packets": signing["verify_packets"],
            "fingerprint": signing["fingerprint"],
        }
        return PublicKeys(signing["fingerprint"], public, min((at for at in (until, also_until) if at), default=None))

    def seal(self, plain: Path, sealed: Path, *, signer: Entry, recipients: Sequence[Entry], now: datetime) -> None:
        """Write `sealed`, signed and encrypted; raises SealRefused if GnuPG finds a key unusable."""
        for entry in (signer, *recipients):
            refuse_to_seal_unless_valid(entry, now)
        if not recipients:
            raise SealRefused(f"{sealed.name}: no recipient to seal to")
        with _gnupg(now, own=[signer], theirs=recipients) as (_, program), replacing(sealed) as unfinished:
            made = _said_by(program)
            with plain.open("rb") as stream, suppress(BrokenPipeError):  # GnuPG stopped reading, and has said why
                program.encrypt_file(
                    stream,
                    [entry.public["encrypt_fingerprint"] for entry in recipients],
                    sign=signer.fingerprint,
                    passphrase=signer.secret["passphrase"],
                    always_trust=True,
                    armor=False,
                    output=str(unfinished),
                    extra_args=["-z", "0"],
                )
            said = {words[0] for words in _status(made.stderr)}
            if not made.ok or made.returncode or not {"SIG_CREATED", "END_ENCRYPTION"} <= said:
                raise _unsealed(sealed, made)

    def open(
        self,
        sealed: Path,
        plain: Path,
        *,
        identities: Sequence[Entry],
        verifiers: Sequence[Entry],
        now: datetime,
        skew: timedelta = NO_SKEW,
    ) -> Opened:
        """Write `plain`, if GnuPG calls exactly one signature valid and its key is pinned, to the last digit."""
        candidates = _addressed(sealed, identities, now, skew)
        for identity in candidates[:-1]:  # more than one only where the recipients are hidden
            with suppress(OpenRefused):
                return self._open(sealed, plain, identity, verifiers, now, skew)
        return self._open(sealed, plain, candidates[-1], verifiers, now, skew)

    def sign(self, file: Path, signature: Path, *, signer: Entry, now: datetime) -> None:
        """Write the armoured OpenPGP signature over `file`; raises SealRefused if GnuPG finds the key unusable."""
        refuse_to_seal_unless_valid(signer, now)
        with _gnupg(now, own=[signer]) as (_, program), replacing(signature) as unfinished:
            made = program.sign_file(
                str(file),
                keyid=signer.fingerprint,
                passphrase=signer.secret["passphrase"],
                detach=True,
                clearsign=False,
                output=str(unfinished),
            )
            if not made.fingerprint:
                raise SealRefused(
                    f"{file.name}: GnuPG refuses to sign with {signer.fingerprint}", fix="run `consign keys list`"
                )

    def _open(
        self, sealed: Path, plain: Path, identity: Entry, verifiers: Sequence[Entry], now: datetime, skew: timedelta
    ) -> Opened:
        """Open with one key of ours: each has a passphrase of its own."""
        at = _judged_at([identity, *verifiers], now, skew)
        with _gnupg(at, own=[identity], theirs=verifiers) as (_, program), replacing(plain) as unfinished:
            made = _said_by(program)
            with sealed.open("rb") as stream, suppress(BrokenPipeError):  # GnuPG stopped reading, and has said why
                program.decrypt_file(
                    stream, passphrase=identity.secret["passphrase"], always_trust=True, output=str(unfinished)
                )
            if machine := _machine_fault(made, plain):
                raise machine
            signer = _judged(sealed, made, verifiers, now, skew)
        return Opened(signer.fingerprint, signer.generation)


@contextmanager
def _gnupg(now: datetime, own: Sequence[Entry] = (), theirs: Sequence[Entry] = ()) -> Iterator[tuple[Path, gnupg.GPG]]:
    """Give a GnuPG home that holds just these keys, and the program bound to it; leave neither behind."""
    if shutil.which("gpg") is None:
        raise ProgramMissing(
            "the openpgp suite needs the program gpg, and it is not installed",
            fix="install GnuPG (Debian: `apt install gnupg`) or choose the suite age",
        )
    home = Path(tempfile.mkdtemp(prefix="consign-", dir=_short_folder()))
    try:
        (home / "gpg-agent.conf").write_text(f"s2k-count {_S2K_COUNT}\n")
        (home / _PRIVATE_KEYS).mkdir(mode=0o700)
        for entry in own:
            for name, half in entry.secret.items():
                if name.startswith("key:"):
                    (home / _PRIVATE_KEYS / name.removeprefix("key:")).write_bytes(base64.b64decode(half))
        present = [entry.public for entry in (*own, *theirs)]
        packets = {public[half] for public in present for half in ("encrypt_packets", "verify_packets")}
        pinned = home / "pinned.gpg"
        pinned.write_bytes(b"".join(base64.b64decode(packet) for packet in sorted(packets)))
        clock = ["--faked-system-time", f"{int(now.timestamp())}!", "--ignore-time-conflict", "--ignore-valid-from"]
        # a fresh home has no keyring: only then may GnuPG make one
        program = _Limited(
            gnupghome=str(home),
            keyring=str(pinned) if packets else None,
            options=clock,
            env=os.environ | _PLAIN_ENGLISH,
        )
        program.buffer_size = _READ_BYTES
        yield home, program
    finally:
        _stop_agent(home)
        shutil.rmtree(home, ignore_errors=True)


def _judged_at(keys: Sequence[Entry], now: datetime, skew: timedelta) -> datetime:
    """Return when GnuPG is to judge: now, or just before the end of a key that the skew still lets count."""
    ended = [entry.valid_until for entry in keys if entry.valid_until is not None and entry.valid_until <= now]
    return min((at - timedelta(seconds=1) for at in ended if now < at + skew), default=now)


def _said_by(program: gnupg.GPG) -> gnupg.Crypt:
    """Return the result that the next act will fill in, and that survives if python-gnupg raises on a broken pipe."""
    made = gnupg.Crypt(program)
    program.result_map = program.result_map | {"crypt": lambda _: made}
    return made


def _short_folder() -> str:
    """Return where to make a home: in memory if possible, and with a path short enough for the agent's socket."""
    for folder in ("/dev/shm", tempfile.gettempdir()):  # noqa: S108 - mkdtemp makes a private folder inside
        if len(folder) < _LONGEST_FOLDER and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return "/tmp"  # noqa: S108 - as above


def _stop_agent(home: Path) -> None:
    """End the agent of this home, if GnuPG started one, and remove its sockets elsewhere."""
    for act in (["--kill", "gpg-agent"], ["--remove-socketdir"]):
        with suppress(OSError, subprocess.TimeoutExpired):
            command = ["gpgconf", "--homedir", str(home), *act]
            subprocess.run(command, capture_output=True, check=False, timeout=_AGENT_STOPS_WITHIN_S)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _public(program: gnupg.GPG, fingerprint: str) -> dict[str, str]:
    """Return the public halves of the one key in a home, as text for people and as packets for the next home."""
    armoured = program.export_keys(fingerprint, armor=True, minimal=True)
    packets = _text(program.export_keys(fingerprint, armor=False, minimal=True))
    (key,) = program.list_keys(keys=fingerprint)
    return {
        "encrypt": armoured,
        "encrypt_packets": packets,
        "encrypt_fingerprint": fingerprint,
        "encrypt_key_ids": " ".join(name for name, half in _halves(key).items() if "e" in half["cap"]),
        "verify": armoured,
        "verify_packets": packets,
        "fingerprint": fingerprint,
    }


def _halves(key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the primary key and the subkeys by their 16-digit key id."""
    return {key["keyid"]: key} | dict(key["subkey_info"])


def _read_one(armoured: str, capability: str, use: str, now: datetime) -> tuple[dict[str, str], datetime | None]:
    """Return the one public key in a text and when it expires; raises KeyUnfit if it cannot do what it is for."""
    if "PRIVATE KEY" in armoured:
        raise KeyUnfit(
            f"the {use} key is a private key",
            fix="ask the agency for `gpg --armor --export`, and tell it that this key is burnt",
        )
    with _gnupg(now) as (_, program):
        program.import_keys(_packets(armoured))
        keys = program.list_keys()
        if len(keys) != 1:
            raise KeyUnfit(
                f"the {use} key text holds {len(keys)} OpenPGP keys instead of one",
                fix="export one key with `gpg --armor --export FINGERPRINT`",
            )
        (key,) = keys
        fingerprint = key["fingerprint"]
        why = {"r": "is revoked", "e": "has expired", "i": "is invalid"}.get(key["trust"])
        if why or capability not in key["cap"]:  # in capitals: what the key with all its subkeys can do now
            raise KeyUnfit(
                f"OpenPGP key {fingerprint} {why or f'has no valid {use} part'}", fix="ask the agency for a valid key"
            )
        needed = [half["expires"] for half in _halves(key).values() if capability.lower() in half["cap"]]
        ends = [int(end) for end in (key["expires"], max(needed, key=lambda end: int(end or 2**62))) if end]
        return _public(program, fingerprint), datetime.fromtimestamp(min(ends), UTC) if ends else None


def _packets(text: str) -> bytes:
    """Return what GnuPG is to import: armoured as it is; base64 alone, as an announcement has it, decoded."""
    if "-----BEGIN" not in text:
        with suppress(ValueError):
            return base64.b64decode("".join(text.split()), validate=True)
    return text.encode()


def _status(stderr: str) -> list[list[str]]:
    """Return GnuPG's machine-readable lines, each split into words."""
    return [line.split()[1:] for line in stderr.splitlines() if line.startswith("[GNUPG:] ")]


def _machine_fault(made: gnupg.Crypt, target: Path) -> OSError | None:
    """Return the fault of this machine that ended GnuPG (a full disk, a kill), or None if it ended by itself.

    It may say DECRYPTION_OKAY in the same breath as "No space left on device".
    """
    if made.returncode is not None and made.returncode < 0:
        return OSError(f"gpg was ended by signal {-made.returncode} before {target} was written")
    return system_fault(made.stderr, target)


def _unsealed(sealed: Path, made: gnupg.Crypt) -> Exception:
    """Return why GnuPG did not seal: a key, or else the machine."""
    status = {words[0]: words[1:] for words in _status(made.stderr)}
    if "INV_RECP" in status or "INV_SGNR" in status:
        msg = f"{sealed.name}: GnuPG refuses the key {(status.get('INV_RECP') or status['INV_SGNR'])[-1]}"
        return SealRefused(msg, fix="exchange new keys and run `consign keys list`")
    said = [line for line in made.stderr.splitlines() if line.startswith("gpg: ") and "WARNING" not in line]
    why = said[-1] if said else "no reason given"
    return _machine_fault(made, sealed) or OSError(f"gpg could not write {sealed}: {why}")


def _addressed(sealed: Path, identities: Sequence[Entry], now: datetime, skew: timedelta) -> list[Entry]:
    """Return our valid key that the file is sealed to, or all if it hides that; raises OpenRefused if there is none."""
    with sealed.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    with _gnupg(now) as (_, program):
        made = program.get_recipients_file(io.BytesIO(head)) if head else []
    key_ids = set(made)
    if not key_ids:
        if cut_short(sealed):
            raise OpenRefused(
                f"{sealed.name} ends after {sealed.stat().st_size} bytes, before it says whom it is for",
                code="truncated",
                fix=_SEND_AGAIN,
            )
        raise OpenRefused(
            f"{sealed.name} is no OpenPGP message that is encrypted to a key",
            code="tampered",
            fix="ask the sender which suite sealed it",
        )
    valid = [entry for entry in identities if opens(entry, now, skew)]
    if _HIDDEN in key_ids and valid:
        return valid
    ours = [entry for entry in identities if key_ids & set(entry.public["encrypt_key_ids"].split())]
    if counting := [entry for entry in ours if entry in valid]:
        return counting[:1]
    if ours:
        code: RefusalCode = "key_revoked" if ours[0].state(now) == "revoked" else "key_expired"
        raise OpenRefused(
            f"{sealed.name} is sealed to a key of ours that does not count: {why_not(ours[0], now)}",
            code=code,
            fix="send the sender our present public key and ask for the file again",
        )
    raise _not_for_us(sealed)


def _not_for_us(sealed: Path) -> OpenRefused:
    return OpenRefused(
        f"{sealed.name} is not sealed to any key of ours",
        code="not_for_us",
        fix="check that the file is meant for us and that the sender has our public key",
    )


def _judged(sealed: Path, made: gnupg.Crypt, verifiers: Sequence[Entry], now: datetime, skew: timedelta) -> Entry:
    """Return the pinned key of the one valid signature; raises OpenRefused for everything else that GnuPG may say.

    `made.ok` alone is also true for an unsigned file, and `made.valid` for one whose integrity check failed later.
    """
    status = _status(made.stderr)
    said = Counter(words[0] for words in status)
    if said["BADSIG"] or said["EXPSIG"]:
        raise OpenRefused(
            f"{sealed.name}: the signature does not fit the content", code="bad_signature", fix=_SEND_AGAIN
        )
    if said["EXPKEYSIG"] or said["REVKEYSIG"]:
        msg = f"{sealed.name} is signed with a key that {'was revoked' if said['REVKEYSIG'] else 'has expired'}"
        code: RefusalCode = "key_revoked" if said["REVKEYSIG"] else "key_expired"
        raise OpenRefused(msg, code=code, fix="ask the sender for a new key and a newly signed file")
    if not said["DECRYPTION_KEY"] and not said["DECRYPTION_OKAY"]:
        raise _not_for_us(sealed)
    if not made.ok or said["DECRYPTION_OKAY"] != 1 or said["BADMDC"] or said["DECRYPTION_FAILED"]:
        cut = cut_short(sealed)
        raise OpenRefused(
            f"{sealed.name} was {'cut short' if cut else 'altered'} on its way",
            code="truncated" if cut else "tampered",
            fix=_SEND_AGAIN,
        )
    if not said["NEWSIG"]:
        raise OpenRefused(
            f"{sealed.name} is not signed",
            code="bad_signature",
            fix="the sender must sign and encrypt: `gpg --sign --encrypt`",
        )
    if said["ERRSIG"]:
        accepted_signer([], now, file=sealed.name)
    if not made.valid or any(said[word] != 1 for word in ("NEWSIG", "GOODSIG", "VALIDSIG", "PLAINTEXT")):
        raise OpenRefused(
            f"{sealed.name} does not hold exactly one content with one valid signature",
            code="bad_signature",
            fix=_SEND_AGAIN,
        )
    pinned = [entry for entry in verifiers if entry.public["fingerprint"] == made.pubkey_fingerprint]
    return accepted_signer(pinned, now, file=sealed.name, skew=skew)
