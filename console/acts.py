"""Every command of `consign`, and where the same is done in the browser and through the API; or why it is not.

A test compares this table with the command line, the pages and the API: a command that is in none of the two parts, and
a route that is not there, fail it. docs/explanation/console.md has the second part, made by `make docs`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class There(NamedTuple):
    """Where an act is: a route of a page, and one of the API, as `GET /plans/{plan_id}`.

    `job <verb>` for the API is that verb through `POST /jobs`.
    """

    page: str
    api: str


def _same(route: str) -> There:
    """The page and the API have it at the same place."""
    return There(route, route)


PEOPLE_ALONE: Final = "-people"
"""In place of an API route: a person who is signed in does it, so that a token that leaked makes nobody."""
READING: Final = "-reading"
"""In place of an API route: the page tells it for people; the rows behind it are in the API."""
FILE: Final = "-file"
"""In place of an API route: a file for a person."""

NOT_IN_THE_API: Final[Mapping[str, str]] = MappingProxyType(
    {
        PEOPLE_ALONE: "accounts, passwords, roles and tokens are changed, and identities seen, by a person who is"
        " signed in: a token that leaked can then make no account, give no role and name no debtor",
        READING: "the page tells it for people; the API gives the rows that it is made of, and the reference has the"
        " rules that it goes by",
        FILE: "a file that a person hands in to look at, or takes away, is sealed or made while that person is signed"
        " in; what is in it the API takes or gives as JSON, where it is more than paper",
    }
)

COVERED: Final[Mapping[str, There]] = MappingProxyType(
    {
        # the loop
        "portfolio import": There("POST /portfolios/new", "POST /portfolio-uploads"),
        "portfolio list": _same("GET /portfolios"),
        "portfolio show": _same("GET /portfolios/{portfolio_id}"),
        "portfolio rejects": There(
            "GET /portfolios/{portfolio_id}/rejects.csv", "GET /portfolios/{portfolio_id}/refused-lines"
        ),
        "portfolio profiles": _same("GET /portfolio-profiles"),
        "portfolio lender add": _same("POST /lenders"),
        "portfolio lender list": _same("GET /lenders"),
        "portfolio hold add": _same("POST /holds"),
        "portfolio hold lift": _same("POST /holds/{hold_id}/lift"),
        "portfolio hold list": _same("GET /holds"),
        "agency add": _same("POST /agencies"),
        "agency list": _same("GET /agencies"),
        "agency circuit": There("POST /agencies/{code}/circuit", "POST /agencies/{code}/circuit/reset"),
        "agency drop": _same("POST /agencies/{code}/drop"),
        "agency probe": _same("POST /agencies/{code}/probe"),
        "agency contract": There("POST /contracts/{lender}/{agency}", "POST /contracts"),
        "agency layout": _same("POST /agencies/{code}/layout"),
        "agency state": _same("POST /agencies/{code}/state"),
        "agency kit": There("GET /agencies/{code}/kit.zip", FILE),
        "agency keys ours": _same("GET /keys"),
        "agency keys trust": _same("POST /agencies/{code}/keys"),
        "agency keys list": There("GET /agencies/{code}", "GET /agencies/{code}/keys"),
        "agency keys approve": _same("POST /agencies/{code}/keys/{request_id}/approve"),
        "agency keys withdraw": _same("POST /agencies/{code}/keys/{request_id}/withdraw"),
        "agency keys revoke": _same("POST /agencies/{code}/keys/revoke"),
        "agency certify start": There("POST /agencies/{code}/certify", "POST /agencies/{code}/certification"),
        "agency certify fingerprint": There(
            "POST /agencies/{code}/certify/fingerprints", "POST /agencies/{code}/certification/fingerprints"
        ),
        "agency certify status": There("GET /agencies/{code}", "GET /agencies/{code}/certification"),
        "agency certify give-up": There(
            "POST /agencies/{code}/certify/give-up", "POST /agencies/{code}/certification/give-up"
        ),
        "agency certify certificate": There("GET /agencies/{code}/certificate.zip", FILE),
        "agency certify waive": _same("POST /agencies/{code}/waiver"),
        "agency host-key list": There("GET /agencies/{code}", "GET /agencies/{code}/host-keys"),
        "agency host-key scan": _same("POST /agencies/{code}/host-keys/scan"),
        "agency host-key add": _same("POST /agencies/{code}/host-keys"),
        "agency host-key approve": _same("POST /agencies/{code}/host-keys/approve"),
        "agency host-key retire": _same("POST /agencies/{code}/host-keys/retire"),
        "agency credential list": There("GET /agencies/{code}", "GET /agencies/{code}/credentials"),
        "agency credential rotate": _same("POST /agencies/{code}/credentials"),
        "agency credential confirm": _same("POST /agencies/{code}/credentials/confirm"),
        "agency credential retire": _same("POST /agencies/{code}/credentials/retire"),
        "strategy list": _same("GET /strategies"),
        "strategy show": _same("GET /strategies/{name}"),
        "strategy diff": There("GET /strategies/{name}", "GET /strategies/{name}/difference"),
        "strategy propose": _same("POST /strategies"),
        "strategy approve": _same("POST /strategies/{name}/{version}/approve"),
        "strategy withdraw": _same("POST /strategies/{name}/{version}/withdraw"),
        "strategy history": There("GET /strategies/{name}", "GET /strategies/{name}/versions"),
        "strategy simulate": _same("GET /strategies/{name}/preview"),
        "strategy run": _same("POST /strategy-runs"),
        "strategy runs": _same("GET /strategy-runs"),
        "strategy moves": There("GET /strategy-runs/{run_id}", "GET /strategy-runs/{run_id}/moves"),
        "strategy accept": _same("POST /strategy-runs/{run_id}/approve"),
        "strategy refuse": _same("POST /strategy-runs/{run_id}/refuse"),
        "strategy stages": _same("GET /stages"),
        "strategy recalls": _same("GET /proposed-recalls"),
        "strategy accept-recalls": _same("POST /proposed-recalls/{proposal_id}/approve"),
        "strategy refuse-recalls": _same("POST /proposed-recalls/{proposal_id}/refuse"),
        "plan create": _same("POST /plans"),
        "plan show": _same("GET /plans/{plan_id}"),
        "plan commit": There("POST /plans/seeds", "POST /seeds"),
        "plan what-if": _same("POST /plans/{plan_id}/what-if"),
        "plan diff": There("GET /plans/{plan_id}/compare", "GET /plans/{plan_id}/comparison/{other_id}"),
        "plan submit": _same("POST /plans/{plan_id}/submit"),
        "plan approve": _same("POST /plans/{plan_id}/approve"),
        "plan reject": _same("POST /plans/{plan_id}/reject"),
        "plan list": _same("GET /plans"),
        "plan send": _same("POST /plans/{plan_id}/send"),
        "place": _same("POST /plans/{plan_id}/send"),
        "consolidate propose": There("POST /consolidation", "POST /consolidation/bases"),
        "consolidate approve": _same("POST /consolidation/bases/{basis_id}/approve"),
        "consolidate withdraw": _same("POST /consolidation/bases/{basis_id}/withdraw"),
        "consolidate list": There("GET /consolidation", "GET /consolidation/bases"),
        "consolidate link": There("POST /consolidation/link", "job consolidate"),
        "consolidate divided": There("GET /consolidation/people", "GET /consolidation/persons"),
        "consolidate split": _same("POST /consolidation/payments"),
        "consolidate shares": _same("GET /consolidation/shares"),
        "deliver": There("POST /exchanges/deliver", "job deliver"),
        "update": There("POST /operations/run", "job update"),
        "collect": There("POST /exchanges/collect", "job collect"),
        "file check": There("POST /portal/check", FILE),
        "file explain": There("GET /exchanges/came/{file_id}", "GET /files/received/{file_id}/refused-lines"),
        "file list": There("GET /exchanges", "GET /files/received"),
        "watch": There("POST /operations/run", "job watch"),
        "exceptions list": _same("GET /exceptions"),
        "exceptions show": There("GET /exceptions/{exception_id}", "GET /exceptions"),
        "exceptions take": _same("POST /exceptions/{exception_id}/assign"),
        "exceptions assign": _same("POST /exceptions/{exception_id}/assign"),
        "exceptions comment": There("POST /exceptions/{exception_id}/comment", "POST /exceptions/{exception_id}/notes"),
        "exceptions resolve": _same("POST /exceptions/{exception_id}/resolve"),
        "layout list": _same("GET /layouts"),
        "layout show": _same("GET /layouts"),
        "layout check": There("POST /agencies/{code}/layout/check", FILE),
        "layout add": There("POST /layouts", FILE),
        "recall run": There("POST /recalls/due", "job recall"),
        "recall request": _same("POST /recalls"),
        "recall overdue": _same("GET /recalls"),
        "recall objections": _same("GET /recalls/objections"),
        "recall decide": _same("POST /recalls/objections/{objection_id}"),
        "instalments list": _same("GET /instalments"),
        "instalments show": _same("GET /instalments/{plan_id}"),
        "instalments judge": There("POST /instalments/follow", "job follow_instalments"),
        "instalments approve": _same("POST /instalments/{plan_id}/approve"),
        "instalments refuse": _same("POST /instalments/{plan_id}/refuse"),
        "instalments follow": There("POST /instalments/follow", "job follow_instalments"),
        "instalments limits list": There("GET /instalments/limits", "GET /instalment-limits"),
        "instalments limits show": There("GET /instalments/limits/{name}", "GET /instalment-limits/{name}"),
        "instalments limits propose": There("POST /instalments/limits", "POST /instalment-limits"),
        "instalments limits approve": There(
            "POST /instalments/limits/{name}/{version}/approve", "POST /instalment-limits/{name}/{version}/approve"
        ),
        "instalments limits withdraw": There(
            "POST /instalments/limits/{name}/{version}/withdraw", "POST /instalment-limits/{name}/{version}/withdraw"
        ),
        "instalments limits history": There("GET /instalments/limits/{name}", "GET /instalment-limits/{name}/versions"),
        "erase run": There("POST /erasures/ask", "job erase"),
        "erase status": _same("GET /erasures"),
        # money
        "recon run": There("POST /breaks/matching", "job reconcile"),
        "recon breaks": _same("GET /breaks"),
        "recon show": There("GET /breaks", "GET /breaks/{break_id}"),
        "recon explain": There("GET /breaks", "GET /breaks/{break_id}"),
        "recon candidates": There("GET /breaks", "GET /breaks/{break_id}"),
        "recon assign": _same("POST /breaks/{break_id}/assign"),
        "recon comment": There("POST /breaks/{break_id}/comment", "POST /breaks/{break_id}/notes"),
        "recon attach": There("POST /breaks/{break_id}/attach", FILE),
        "recon attachment": There("GET /breaks/attachments/{note_id}", FILE),
        "recon match": There("POST /breaks/{break_id}/match", "POST /resolutions"),
        "recon unmatch": There("POST /breaks/matches/{match_id}/unmatch", "POST /resolutions"),
        "recon write-off": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon count": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon reject": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon not-ours": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon settle": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon refund": There("POST /breaks/{break_id}/resolve", "POST /resolutions"),
        "recon undo": There("POST /breaks/resolutions/{resolution_id}/undo", "POST /resolutions"),
        "recon resolutions": There("GET /breaks", "GET /breaks/{break_id}"),
        "recon resolution": There("GET /breaks", "GET /resolutions/{resolution_id}"),
        "recon approve": There(
            "POST /breaks/resolutions/{resolution_id}/approve", "POST /resolutions/{resolution_id}/approve"
        ),
        "recon refuse": There(
            "POST /breaks/resolutions/{resolution_id}/refuse", "POST /resolutions/{resolution_id}/refuse"
        ),
        "recon withdraw": There(
            "POST /breaks/resolutions/{resolution_id}/withdraw", "POST /resolutions/{resolution_id}/withdraw"
        ),
        "recon reasons": There("GET /breaks", READING),
        "recon import": There("POST /bank", "POST /bank/statements"),
        "recon accounts add": _same("POST /bank/accounts"),
        "contract list": _same("GET /contracts"),
        "contract show": There("GET /contracts/{lender}/{agency}", "GET /contracts"),
        "contract check": There("POST /contracts/compare", "POST /costs"),
        "contract diff": There("GET /contracts/{lender}/{agency}", READING),
        "contract simulate": There("POST /contracts/compare", "POST /costs"),
        "contract propose": There("POST /contracts/{lender}/{agency}", "POST /contracts"),
        "contract proposals": There("GET /contracts", "GET /contracts/proposals"),
        "contract approve": There(
            "POST /contracts/{lender}/{agency}/proposals/{proposal_id}/approve",
            "POST /contracts/proposals/{proposal_id}/approve",
        ),
        "contract withdraw": There(
            "POST /contracts/{lender}/{agency}/proposals/{proposal_id}/withdraw",
            "POST /contracts/proposals/{proposal_id}/withdraw",
        ),
        "payment due": There("GET /payments", "GET /payments/due"),
        "payment owed": There("GET /payments", "GET /payments/due"),
        "payment propose": There("POST /payments", "POST /payment-runs"),
        "payment approve": There("POST /payments/{run_id}/approve", "POST /payment-runs/{run_id}/approve"),
        "payment withdraw": There("POST /payments/{run_id}/withdraw", "POST /payment-runs/{run_id}/withdraw"),
        "payment export": There("POST /payments/{run_id}/export", FILE),
        "payment list": There("GET /payments", "GET /payment-runs"),
        "payment show": There("GET /payments/{run_id}", "GET /payment-runs"),
        "forecast": _same("POST /forecast"),
        "statement make": There("POST /statements", "job state"),
        "statement list": _same("GET /statements"),
        "statement show": There("GET /statements/{statement_id}", "GET /statements"),
        "ledger trial-balance": _same("GET /ledger"),
        "ledger agency": _same("GET /ledger/entries"),
        "ledger entries": _same("GET /ledger/entries"),
        "ledger entry": _same("GET /ledger/entries"),
        "ledger card": _same("GET /ledger/entries"),
        "ledger chart": There("GET /ledger", READING),
        "ledger export": There("POST /ledger/exports", "POST /books"),
        "ledger verify": There("POST /ledger/verify", "job verify_books"),
        "close check": There("GET /closing", "GET /months/{lender}/{period}"),
        "close accept": There("POST /closing/accept", "POST /months/{lender}/{period}/accept"),
        "close run": There("POST /closing/close", "POST /months/{lender}/{period}/close"),
        "close show": There("GET /closing", "GET /months/{lender}/{period}"),
        "close reopen": There("POST /closing/reopen", "POST /months/{lender}/{period}/reopen"),
        "close approve": There(
            "POST /closing/reopenings/{reopening_id}/approve", "POST /reopenings/{reopening_id}/approve"
        ),
        "close withdraw": There(
            "POST /closing/reopenings/{reopening_id}/withdraw", "POST /reopenings/{reopening_id}/withdraw"
        ),
        "score run": There("POST /scorecards", "job score"),
        "score show": There("GET /scorecards", "GET /scores/{run_id}"),
        "score scorecard": There("GET /scorecards/{agency}", READING),
        "score flags": There("GET /scorecards", READING),
        "evaluate run": _same("POST /evaluations"),
        "evaluate list": _same("GET /evaluations"),
        "evaluate show": _same("GET /evaluations/{evaluation_id}"),
        "evaluate approve": _same("POST /evaluations/{evaluation_id}/approve"),
        "evaluate reject": _same("POST /evaluations/{evaluation_id}/reject"),
        "evaluate pages": There("GET /evaluations/{evaluation_id}/{name}", FILE),
        "propensity fit": There("POST /propensity", "POST /propensity/models"),
        "propensity list": There("GET /propensity", "GET /propensity/models"),
        "propensity approve": There(
            "POST /propensity/{model_id}/approve", "POST /propensity/models/{model_id}/approve"
        ),
        "propensity withdraw": There(
            "POST /propensity/{model_id}/withdraw", "POST /propensity/models/{model_id}/withdraw"
        ),
        "propensity score": There("POST /propensity/ask", "job foretell"),
        "propensity explain": There(
            "POST /propensity/{model_id}/account", "GET /propensity/models/{model_id}/accounts/{account_id}"
        ),
        "propensity report": There("GET /propensity/{model_id}", "GET /propensity/models/{model_id}"),
        "propensity drift": There("POST /propensity/{model_id}/drift", "POST /propensity/models/{model_id}/drift"),
        "propensity facts": There("GET /propensity", READING),
        "propensity use show": There("GET /propensity", "GET /propensity/use"),
        "propensity use propose": _same("POST /propensity/use"),
        "propensity use approve": _same("POST /propensity/use/{version}/approve"),
        "propensity use withdraw": _same("POST /propensity/use/{version}/withdraw"),
        # rules and records
        "policy list": _same("GET /policies"),
        "policy show": There("GET /policies/{name}", "GET /policies"),
        "policy diff": There("GET /policies/{name}", "GET /policies/difference"),
        "policy simulate": There("GET /policies/simulate", "GET /policies/simulation"),
        "policy propose": _same("POST /policies"),
        "policy approve": _same("POST /policies/{name}/{version}/approve"),
        "policy withdraw": _same("POST /policies/{name}/{version}/withdraw"),
        "policy history": There("GET /policies/{name}", "GET /policies"),
        "gate list": There("GET /gate", "GET /gate/files"),
        "gate show": _same("GET /gate/files/{file}"),
        "gate allow": _same("POST /gate/allowances"),
        "gate approve": There("POST /gate/allowances/{number}/approve", "POST /gate/allowances/{allowance_id}/approve"),
        "gate withdraw": There(
            "POST /gate/allowances/{number}/withdraw", "POST /gate/allowances/{allowance_id}/withdraw"
        ),
        "gate allowances": There("GET /gate", "GET /gate/allowances"),
        "conduct run": There("POST /breaches/audit", "job conduct"),
        "conduct report": _same("GET /breaches"),
        "conduct breaches": _same("GET /breaches"),
        "conduct show": There("GET /breaches/{breach_id}", "GET /breaches"),
        "conduct uphold": _same("POST /breaches/{breach_id}/decide"),
        "conduct dismiss": _same("POST /breaches/{breach_id}/decide"),
        "conduct packs": There("GET /rules", "GET /rule-packs"),
        "conduct rule": There("GET /rules", "GET /rule-packs"),
        "conduct use": There("POST /rules/{lender}", "POST /rule-packs/{lender}"),
        "conduct gates": There("GET /breaches", "GET /gates"),
        "conduct lift": _same("POST /gates/{gate_id}/ask"),
        "conduct grant": _same("POST /gates/{gate_id}/grant"),
        "conduct refuse": _same("POST /gates/{gate_id}/refuse"),
        "complaint add": _same("POST /complaints"),
        "complaint list": _same("GET /complaints"),
        "complaint show": There("GET /complaints/{complaint_id}", "GET /complaints"),
        "complaint take": _same("POST /complaints/{complaint_id}/take"),
        "complaint close": _same("POST /complaints/{complaint_id}/close"),
        "complaint rate": There("GET /complaints", READING),
        "diligence list": There("GET /agencies/{code}", "GET /agencies/{code}/evidence"),
        "diligence due": There("GET /agencies/{code}", "GET /agencies/{code}/evidence/due"),
        "diligence add": _same("POST /agencies/{code}/evidence"),
        "disclosures show": _same("POST /disclosures"),
        "disclosures export": There("POST /disclosures/evidence", FILE),
        "disclosures asked": There("GET /disclosures", "GET /disclosures/asked"),
        "subject open": There("POST /requests", "POST /subject-requests"),
        "subject list": There("GET /requests", "GET /subject-requests"),
        "subject show": There("GET /requests/{request_id}", "GET /subject-requests/{request_id}"),
        "subject verify": There("POST /requests/{request_id}/verify", "POST /subject-requests/{request_id}/verify"),
        "subject correct": There("POST /requests/{request_id}/correct", "POST /subject-requests/{request_id}/correct"),
        "subject answer": There("POST /requests/{request_id}/answer", "POST /subject-requests/{request_id}/answer"),
        "subject refuse": There("POST /requests/{request_id}/refuse", "POST /subject-requests/{request_id}/refuse"),
        "subject prove": There("POST /requests/{request_id}/evidence", "POST /subject-requests/{request_id}/evidence"),
        "subject run": There("POST /requests/{request_id}/verify", "job attend"),
        "identity show": There("POST /identities", PEOPLE_ALONE),
        "identity asked": There("GET /identities", PEOPLE_ALONE),
        "retention show": There("GET /retention", "GET /retention/due"),
        "retention due": _same("GET /retention/due"),
        "retention run": _same("POST /retention/run"),
        "retention hold add": There("POST /retention/holds", "POST /legal-holds"),
        "retention hold list": There("GET /retention", "GET /legal-holds"),
        "retention hold lift": There(
            "POST /retention/holds/{legal_hold_id}/lift", "POST /legal-holds/{legal_hold_id}/lift"
        ),
        "shred debtor": There("POST /retention/debtors", "POST /shreddings/debtors"),
        "shred portfolio": There("POST /retention/shreddings", "POST /shreddings"),
        "shred approve": There(
            "POST /retention/shreddings/{shredding_id}/approve", "POST /shreddings/{shredding_id}/approve"
        ),
        "shred withdraw": There(
            "POST /retention/shreddings/{shredding_id}/withdraw", "POST /shreddings/{shredding_id}/withdraw"
        ),
        "shred list": There("GET /retention", "GET /shreddings"),
        "shred sweep": There("POST /operations/run", "job sweep"),
        "audit verify": There("POST /audit/verify", "POST /events/verify"),
        "audit list": There("GET /audit", "GET /events"),
        "audit heads": There("GET /audit", "GET /events/{seq}/proof"),
        "audit sign": There("POST /operations/run", "job sign_audit"),
        "audit prove": There("GET /audit/{seq}/proof.json", "GET /events/{seq}/proof"),
        "report impact": There("GET /assessments", "GET /reports/{kind}"),
        "report processing": There("GET /assessments", "GET /reports/{kind}"),
        "report agencies": There("GET /assessments", "GET /reports/{kind}"),
        "report breach": There("GET /assessments/breach", "POST /reports/breach"),
        "keys list": _same("GET /keys"),
        "keys ending": _same("GET /keys"),
        "keys rotate": There("POST /keys/rotate", "POST /keys"),
        "keys announce": _same("POST /keys/announce"),
        "keys revoke": _same("POST /keys/revoke"),
        "keys public": _same("GET /keys"),
        "keys export ask": There("POST /backups/keyring", "POST /escrows"),
        "keys export list": There("GET /backups", "GET /escrows"),
        "keys export approve": There("POST /backups/keyring/{escrow_id}/approve", "POST /escrows/{escrow_id}/approve"),
        "keys export withdraw": There(
            "POST /backups/keyring/{escrow_id}/withdraw", "POST /escrows/{escrow_id}/withdraw"
        ),
        "keys import list": There("GET /backups", "GET /escrows"),
        "keys import approve": There("POST /backups/keyring/{escrow_id}/approve", "POST /escrows/{escrow_id}/approve"),
        "keys import withdraw": There(
            "POST /backups/keyring/{escrow_id}/withdraw", "POST /escrows/{escrow_id}/withdraw"
        ),
        "role list": There("GET /people", PEOPLE_ALONE),
        "role grant": There("POST /people/{actor}/roles", PEOPLE_ALONE),
        "role revoke": There("POST /people/{actor}/roles", PEOPLE_ALONE),
        "people add": There("POST /people/new", PEOPLE_ALONE),
        "people list": There("GET /people", PEOPLE_ALONE),
        "people disable": There("POST /people/{actor}/state", PEOPLE_ALONE),
        "people enable": There("POST /people/{actor}/state", PEOPLE_ALONE),
        "people password": There("POST /people/{actor}/password", PEOPLE_ALONE),
        "people totp": There("POST /people/{actor}/authenticator", PEOPLE_ALONE),
        "people sessions": There("POST /people/{actor}/sessions", PEOPLE_ALONE),
        "people token make": There("POST /account/tokens", PEOPLE_ALONE),
        "people token list": There("GET /account/tokens", PEOPLE_ALONE),
        "people token revoke": There("POST /account/tokens/{token_id}/revoke", PEOPLE_ALONE),
        # the house
        "backup make": _same("POST /backups"),
        "backup list": _same("GET /backups"),
        "backup check": There("POST /backups/check", "POST /backups/{name}/check"),
        "backup remove": There("POST /backups/remove", "POST /backups/{name}/remove"),
        "doctor": There("GET /operations", "GET /findings"),
    }
)
"""By command: where the same is done."""

STAYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "They make, start or replace what the console itself runs on: a browser that asks for it would pull the store,"
        " the settings or the process away from under everybody's requests, and whoever restores has lost just that"
        " console.": ("init", "up", "web", "backup restore"),
        "They need a secret, or let one out: the root key, a passphrase, the holder's private key, the sealed keyring."
        " None of them may pass a browser, its cache or a proxy. What two persons must agree to is asked for and"
        " approved at the console; the act itself is done on the machine that has the keyring.": (
            "keys root show", "keys root move", "keys export release", "keys import ask", "keys import run",
        ),
        "They check evidence that came from Consign, and must not rest on the Consign that made it: an auditor runs"
        " them without store, keyring or account. The consistency proof is made beside them.": (
            "disclosures verify", "audit check", "audit consistency",
        ),
        "They look at a file of rules that somebody writes on the server, before it is used there, or list what such a"
        " file may say. What is proposed or handed in at the console is checked by the same rules, and the reference"
        " lists the rest.": (
            "strategy check", "portfolio codes", "portfolio fields", "recon layouts list", "recon layouts show",
            "recon layouts check",
        ),
        "They do for many at once, of a file on the server, what the console does one by one: each line is an act of"
        " its own there, with its own check and its own second person.": ("contract import", "complaint import"),
        "They are studies for whoever designs a treatment or a trial: they read, decide nothing, and their answer is"
        " only as good as the choice of columns, which a form would hide.": ("propensity threshold", "score trial"),
        "They make a world to try things on, beside the real one.": (
            "demo", "sandbox debtors", "sandbox agency", "sandbox replay", "sandbox compare",
        ),
    }
)  # fmt: skip
"""Why, and the commands that stay at the command line for it."""


PART: Final = re.compile(r"(<!-- made: acts -->\n).*?(<!-- end -->)", re.DOTALL)


def in_words() -> str:
    """What stays at the command line, and why, in Markdown."""
    told = [f"- {', '.join(f'`consign {command}`' for command in commands)}. {why}" for why, commands in STAYS.items()]
    apart = [f"- {why[0].upper()}{why[1:]}." for why in NOT_IN_THE_API.values()]
    return "\n".join([*told, "", "In the browser, but not in the API:", "", *apart])


if __name__ == "__main__":  # python -m console.acts docs/explanation/console.md
    page = Path(sys.argv[1])
    text = page.read_text(encoding="utf-8")
    page.write_text(PART.sub(lambda part: f"{part[1]}\n{in_words()}\n\n{part[2]}", text), encoding="utf-8")
