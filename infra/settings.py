"""Every setting of Consign, from `consign.toml` and `CONSIGN_*` (the environment wins)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from models.calendar import Span, SpanFault


class Settings(BaseSettings):
    """Where things are and how long they may take; each has a default that works on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="CONSIGN_", env_nested_delimiter="__", toml_file="consign.toml", extra="forbid"
    )

    home: Path = Field(default=Path("var"), description="where everything below lies unless set otherwise")
    database: str = Field(default="", description="SQLAlchemy URL; empty: SQLite at home/consign.sqlite")
    durable: bool = Field(
        default=True, description="SQLite: a reported commit survives a power cut; false is for sandboxes alone"
    )
    keyring: Path | None = Field(default=None, description="keyring file; default home/keys/keyring.json")
    key_file: Path | None = Field(default=None, description="root key file; default home/keys/root.key")
    passphrase: SecretStr | None = Field(default=None, description="opens the keyring instead of the key file")
    root_key: Literal["file", "passphrase", "keyring", "vault", "aws-kms"] | None = Field(
        default=None, description="who keeps the keyring's root key; unset: the passphrase if one is set, else the file"
    )
    export_hours: int = Field(
        default=24, ge=1, description="how long a second person's approval to let the keyring out, or in, counts"
    )
    reidentify_per_hour: int = Field(default=20, ge=1, description="identities that one person may ask for in an hour")
    reidentify_per_day: int = Field(default=60, ge=1, description="and in a day")
    register_per_day: int = Field(
        default=100, ge=1, description="questions to the disclosure register by one person in a day; above, it is told"
    )
    answer_subjects_within: str = Field(
        default="15 business days",
        description="how long a debtor's request about their data may take, where the rule pack says nothing",
    )
    vault_address: str = Field(default="", description="HashiCorp Vault, https://host:8200")
    vault_mount: str = Field(default="transit", description="where its transit engine is mounted")
    vault_key: str = Field(default="consign", description="the transit key that wraps a new root key")
    vault_namespace: str = Field(default="", description="the namespace, where there are some")
    vault_token: SecretStr | None = Field(default=None, description="who we are in Vault; better: one of the next two")
    vault_token_file: Path | None = Field(default=None, description="file that holds the token; an agent renews it")
    vault_role_id: str | None = Field(default=None, description="or an AppRole")
    vault_secret_id: SecretStr | None = Field(default=None, description="and its secret")
    vault_ca: Path | None = Field(default=None, description="PEM of Vault's certificate authority; unset: the system's")
    kms_key: str = Field(default="", description="ARN, id or alias of the AWS KMS key that wraps a new root key")
    kms_region: str = Field(default="", description="its region, cn-north-1 …")
    kms_endpoint: str = Field(default="", description="another address of KMS: a VPC endpoint")
    root_timeout: float = Field(default=10.0, gt=0, description="seconds without a byte from who keeps the root key")
    root_attempts: int = Field(default=3, ge=1, description="tries to get the root key, with growing pauses")
    engine: Literal["prefect", "direct"] = Field(
        default="prefect", description="run flows through Prefect, or in this process without it"
    )
    prefect_api_url: str = Field(default="", description="a running server; empty: one is started for the command")
    actor: str = Field(default="", description="who acts; default the login name")
    shard_rows: int = Field(default=100_000, ge=1, description="accounts held in memory at once")
    agencies_at_once: int = Field(default=4, ge=1, description="agencies whose files are sealed or judged in parallel")
    connections_at_once: int = Field(
        default=32, ge=1, description="agencies connected to in parallel; their servers may be slow, or dead"
    )
    connections_per_agency: int = Field(
        default=2, ge=1, le=2, description="1: sending to an agency and collecting from it take turns"
    )
    files_per_round: int = Field(default=5_000, ge=1, description="files that one round takes, or sends")
    bytes_per_round: int = Field(
        default=16 << 30, ge=1, description="bytes that one round takes from an agency, or sends; a file at least"
    )
    breaker_failures: int = Field(
        default=3, ge=1, description="failures to connect in a row until an agency's server is left in peace"
    )
    breaker_first_pause: float = Field(default=60.0, gt=0, description="seconds until it is tried again; then doubled")
    breaker_longest_pause: float = Field(default=1_800.0, gt=0, description="the longest of those pauses, seconds")
    connect_timeout: float = Field(default=20.0, gt=0, description="seconds to connect, greet and log in")
    stall_timeout: float = Field(default=60.0, gt=0, description="seconds without a byte before a transfer ends")
    delivery_attempts: int = Field(default=4, ge=1, description="tries of one delivery, with growing pauses")
    delivery_within: float = Field(
        default=120.0, gt=0, description="seconds in which those tries are begun; a longer outage is the next run's"
    )
    delivery_first_wait: float = Field(default=1.0, gt=0, description="seconds before the second try, and their jitter")
    delivery_longest_wait: float = Field(default=20.0, gt=0, description="the longest pause between two tries, seconds")
    transfer_timeout: float = Field(
        default=14_400.0, gt=0, description="seconds for one file or listing, whatever moves"
    )
    gnupg_timeout: float = Field(
        default=900.0, gt=0, description="seconds that GnuPG may take to seal or open one file"
    )
    max_names: int = Field(
        default=20_000, ge=1, description="names of an agency's directory that one round looks at; the rest later"
    )
    settle_seconds: float = Field(
        default=5.0, ge=0, description="between two looks at a file that nothing declares complete"
    )
    lease_seconds: float = Field(default=900.0, gt=0, description="how long a worker may hold a transmission")
    busy_wait: float = Field(
        default=60.0, ge=0, description="seconds that placing and recalling wait for another worker at the agency"
    )
    abandoned_seconds: float = Field(
        default=86_400.0, gt=0, description="age at which what another machine's worker left in our folders is removed"
    )
    database_wait: float = Field(
        default=120.0, gt=0, description="seconds to wait for the store: for a lock, a connection, an answer to a login"
    )
    max_inbound_bytes: int = Field(
        default=512 << 20,
        ge=1,
        description="the largest file taken from an agency, bytes; opening it takes at most three times that of memory",
    )
    keep_sealed_days: int = Field(
        default=30,
        ge=0,
        description="days that sealed receipts, updates, statements are kept; others until answered",
    )
    identities_per_key: int = Field(
        default=4_096,
        ge=1,
        description="accounts under one data key; so many are sealed anew when one of them is erased",
    )
    erased_mark_days: int = Field(
        default=1_825, ge=0, description="how long an erased debtor is refused where a lender's file names them again"
    )
    sweep_below_mb: int = Field(
        default=256, ge=0, description="a store up to this size is written anew at each erasure, a larger one at night"
    )
    backups: Path | None = Field(default=None, description="folder of the backups; default home/backups")
    keyring_copy: Path | None = Field(
        default=None, description="the one copy of the keyring; default: `copy` beside it; better on another machine"
    )
    recall_days: int = Field(default=5, ge=0, description="days an agency has to confirm a recall")
    erasure_days: int = Field(default=30, ge=0, description="days an agency has to certify an erasure")
    acknowledge_within: str = Field(
        default="2 business days", description="how long an agency may take to acknowledge a placement"
    )
    report_activity_every: str = Field(
        default="7 days", description="how often an agency that holds accounts must report its activity"
    )
    presumed_within: str = Field(
        default="1 business day", description="how long a delivery may be presumed before somebody asks the agency"
    )
    stuck_after: str = Field(
        default="4 hours", description="how long a file may wait to be sent, or to be judged, before somebody looks"
    )
    notify_webhook: SecretStr | None = Field(
        default=None, description="http(s) address that is told of new exceptions: counts and codes, as JSON"
    )
    notify_webhook_token: SecretStr | None = Field(default=None, description="sent with it as a bearer token")
    notify_mail_to: tuple[str, ...] = Field(default=(), description="addresses that are told the same by e-mail")
    notify_mail_from: str = Field(default="consign@localhost", description="who that mail is from")
    notify_mail_host: str = Field(default="localhost", description="the mail server")
    notify_mail_port: int = Field(default=587, ge=1, le=65_535, description="its port")
    notify_mail_security: Literal["tls", "starttls", "none"] = Field(
        default="starttls", description="how the mail server is spoken to"
    )
    notify_mail_username: str = Field(default="", description="who we are there; empty: nobody asks")
    notify_mail_password: SecretStr | None = Field(default=None, description="and our password")
    notify_attempts: int = Field(default=3, ge=1, description="tries of one notice, with growing pauses")
    notify_timeout: float = Field(default=10.0, gt=0, description="seconds to wait for either of them")
    statement_font: Path | None = Field(
        default=None, description="TrueType font with Chinese for statements; unset: the first known one that is there"
    )
    payment_two_approvers: int = Field(
        default=10_000_000,
        ge=0,
        description="a payment run above so many minor units needs a second approver, beside who proposed it",
    )
    calendar: str = Field(
        default="CN", description="whose holidays count: a country, `weekends`, or a heading of `calendars`"
    )
    calendars: Path | None = Field(default=None, description="TOML file with calendars of one's own")
    own_key_days: int = Field(default=365, ge=1, description="how long our own sealing keys are valid")
    credential_days: int = Field(default=365, ge=1, description="how long a new SSH client key of ours is valid")
    credential_retry_minutes: int = Field(
        default=15, ge=0, description="how long a client key that a server refused is offered after the one it takes"
    )
    key_overlap_days: int = Field(
        default=14, ge=0, description="days from announcing a new key of ours until it signs, where agencies know one"
    )
    key_warn_days: tuple[int, ...] = Field(
        default=(30, 14, 3), description="so many days before a key ends it is said, and said again"
    )
    clock_skew_minutes: int = Field(
        default=5, ge=0, le=60, description="how far an agency's clock may be off at the ends of a key's time"
    )
    require_certificate: bool = Field(
        default=True,
        description="an agency needs a certificate, or a waiver by two persons, to become certified or live",
    )
    certificate_days: int = Field(default=365, ge=1, description="how long an agency's certificate counts")
    waiver_days: int = Field(default=30, ge=1, description="how long a waiver of a certificate counts")
    strategy: str = Field(
        default="cn-soft-first", description="strategy of lenders that none in force names (`consign strategy list`)"
    )
    instalment_limits: str = Field(
        default="cn-default", description="limits of instalment plans, of lenders that none in force names"
    )
    require_diligence: bool = Field(
        default=True, description="an agency whose evidence of due diligence is missing gets no new placements"
    )
    roles: Literal["on", "off"] = Field(
        default="on",
        description="off: a second person needs no role, as suits a house of two or three; what passed so is on record",
    )
    propensity: Literal["off", "shown", "bands"] = Field(
        default="off",
        description="models of who pays: off; shown: chances are kept beside the accounts; bands: and segments are made"
        " by them (score_band); where no setting says it, two people do (`consign propensity use`, or the console)",
    )
    chart: str = Field(
        default="default", description="chart of accounts that new entries are posted under: a shipped one, or charts/"
    )
    close_break_days: int = Field(
        default=30, ge=0, description="breaks that are older at a month's end stand in the way of closing it"
    )
    sandbox: bool = Field(default=False, description="the debtors are synthetic: the console says so on every page")
    web_host: str = Field(default="127.0.0.1", description="the address that the console listens on")
    web_port: int = Field(default=8470, ge=0, le=65_535, description="its port; 0: any that is free")
    web_processes: int = Field(
        default=2, ge=1, le=64, description="processes that answer; more than one for each processor are of no use"
    )
    web_url: str = Field(
        default="", description="how people reach it, https://consign.example; empty: http on this machine"
    )
    session_idle_minutes: int = Field(default=30, ge=1, description="signed out after so long without a page")
    session_hours: int = Field(default=12, ge=1, description="and after so long whatever happens")
    oidc_issuer: str = Field(
        default="", description="the OpenID Connect house that vouches for people; empty: none does"
    )
    oidc_name: str = Field(default="", description="what the button to sign in there says")
    oidc_client: str = Field(default="", description="who we are there")
    oidc_secret: SecretStr | None = Field(default=None, description="and our secret")
    oidc_claim: str = Field(default="sub", description="which of its claims `consign people add --vouched` names")
    second_factor: Literal["optional", "required"] = Field(
        default="optional", description="required: who has no authenticator enrols one before anything else"
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="whoever brings it reads /metrics; without it, who is signed in as operations"
    )
    upload_bytes: int = Field(default=64 << 20, ge=1, description="the largest file that the console takes, bytes")
    two_people: bool = Field(
        default=True, description="a second person approves the keys that are pinned of an agency that is live"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class names it; .env files are not read
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then mounted secrets, then `consign.toml`."""
        return init_settings, env_settings, file_secret_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator(
        "acknowledge_within", "report_activity_every", "presumed_within", "stuck_after", "answer_subjects_within"
    )
    @classmethod
    def _a_span(cls, text: str) -> str:
        """A span of time, as models.calendar reads it."""
        try:
            return str(Span.parse(text))
        except SpanFault as error:
            message = f"{error}: {error.fix}"
            raise ValueError(message) from None

    @property
    def database_url(self) -> str:
        """The store's SQLAlchemy URL."""
        return self.database or f"sqlite:///{(self.home / 'consign.sqlite').resolve()}"

    @property
    def keyring_path(self) -> Path:
        """The keyring file, apart from the database."""
        return self.keyring or self.home / "keys" / "keyring.json"

    @property
    def backups_path(self) -> Path:
        """Where the store's backups lie, apart from the copy of the keyring."""
        return self.backups or self.home / "backups"

    @property
    def key_file_path(self) -> Path:
        """The root key file, used where no passphrase is set."""
        return self.key_file or self.home / "keys" / "root.key"

    @property
    def is_sandbox(self) -> bool:
        """Whether the debtors are synthetic: said so, or left by `consign demo`."""
        return self.sandbox or (self.home / ".consign-demo").exists()

    def folder(self, name: str) -> Path:
        """A folder below home (outbox, inbox, statements, scorecards, scratch), made 0700 on first use."""
        path = self.home / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
