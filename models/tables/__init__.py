"""Rows of the store, one module per subject: rows, not the domain's types (`table=True` classes do not validate).

Conventions: codes (`lender`, `agency`) are lower-case text; `*_minor` are int64 minor units beside a `currency`;
`*_on` and `value_date` are dates; `*_at` are aware UTC instants; `*_id` that another table counts on are 64-bit
integers drawn from `id_counter`.
"""

from models.tables.agencies import Agency, AgencyContract, LayoutProfile
from models.tables.audit import AuditEvent, AuditHead, AuditNode, Disclosure, DisclosureAccount
from models.tables.books import (
    AccountingPeriod,
    JournalBatch,
    JournalEntry,
    JournalLine,
    LedgerAccount,
    PeriodAcceptance,
    PeriodClosing,
    PeriodReopening,
)
from models.tables.certification import CertificateWaiver, Certification, CertificationStep, FileRefusal
from models.tables.commission import AgencyPayment, CommissionAdjustment, ContractProposal, PaymentRun
from models.tables.conduct import AuditedFile, Breach, ConductRun, DueDiligence, GateState
from models.tables.consolidation import ConsolidationBasis, JointPayment, JointShare, LinkedDebtor
from models.tables.custody import Escrow, Reidentification
from models.tables.exchange import (
    Circuit,
    ExceptionComment,
    ExchangeException,
    InboundFile,
    InboundReject,
    Lease,
    Transmission,
)
from models.tables.finance import (
    BankAccount,
    BankReceipt,
    BankStatement,
    Break,
    InvoiceLine,
    Match,
    MatchPart,
    MatchRival,
    RemittanceLine,
    Statement,
)
from models.tables.gate import GateAllowance, GateCheck
from models.tables.jobs import Job
from models.tables.people import AccessToken, Person, PersonSession, RecoveryCode, SignInFailure
from models.tables.placements import (
    Activity,
    Complaint,
    Erasure,
    Instalment,
    InstalmentPlan,
    Placement,
    Recall,
    RecallObjection,
)
from models.tables.plans import Plan, PlanExclusion, PlanLine, SeedCommitment
from models.tables.policies import ReleasePolicy
from models.tables.portfolios import Account, Debtor, Hold, IdCounter, Identity, IntakeReject, Lender, Portfolio
from models.tables.propensity import PropensityModel, PropensityScore
from models.tables.resolutions import BreakNote, Resolution
from models.tables.retention import ErasedAccount, ErasedMark, IdentityKey, LegalHold, Shredding
from models.tables.roles import ActorRole
from models.tables.scores import Evaluation, Score, ScoreRun
from models.tables.strategy import (
    AccountStage,
    RecallProposal,
    RecallProposalLine,
    Rulebook,
    StageMove,
    StrategyRun,
)
from models.tables.subjects import Correction, RegisterQuestion, SubjectRequest
from models.tables.trust import ClientKeyUse, HostKey, KeyRequest

__all__ = [
    "AccessToken",
    "Account",
    "AccountStage",
    "AccountingPeriod",
    "Activity",
    "ActorRole",
    "Agency",
    "AgencyContract",
    "AgencyPayment",
    "AuditEvent",
    "AuditHead",
    "AuditNode",
    "AuditedFile",
    "BankAccount",
    "BankReceipt",
    "BankStatement",
    "Breach",
    "Break",
    "BreakNote",
    "CertificateWaiver",
    "Certification",
    "CertificationStep",
    "Circuit",
    "ClientKeyUse",
    "CommissionAdjustment",
    "Complaint",
    "ConductRun",
    "ConsolidationBasis",
    "ContractProposal",
    "Correction",
    "Debtor",
    "Disclosure",
    "DisclosureAccount",
    "DueDiligence",
    "ErasedAccount",
    "ErasedMark",
    "Erasure",
    "Escrow",
    "Evaluation",
    "ExceptionComment",
    "ExchangeException",
    "FileRefusal",
    "GateAllowance",
    "GateCheck",
    "GateState",
    "Hold",
    "HostKey",
    "IdCounter",
    "Identity",
    "IdentityKey",
    "InboundFile",
    "InboundReject",
    "Instalment",
    "InstalmentPlan",
    "IntakeReject",
    "InvoiceLine",
    "Job",
    "JointPayment",
    "JointShare",
    "JournalBatch",
    "JournalEntry",
    "JournalLine",
    "KeyRequest",
    "LayoutProfile",
    "Lease",
    "LedgerAccount",
    "LegalHold",
    "Lender",
    "LinkedDebtor",
    "Match",
    "MatchPart",
    "MatchRival",
    "PaymentRun",
    "PeriodAcceptance",
    "PeriodClosing",
    "PeriodReopening",
    "Person",
    "PersonSession",
    "Placement",
    "Plan",
    "PlanExclusion",
    "PlanLine",
    "Portfolio",
    "PropensityModel",
    "PropensityScore",
    "Recall",
    "RecallObjection",
    "RecallProposal",
    "RecallProposalLine",
    "RecoveryCode",
    "RegisterQuestion",
    "Reidentification",
    "ReleasePolicy",
    "RemittanceLine",
    "Resolution",
    "Rulebook",
    "Score",
    "ScoreRun",
    "SeedCommitment",
    "Shredding",
    "SignInFailure",
    "StageMove",
    "Statement",
    "StrategyRun",
    "SubjectRequest",
    "Transmission",
]
