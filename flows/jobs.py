"""The verbs that a person asks for at the console, and the worker that runs them one after the other.

`consign web` and `consign up` start it as `python -m flows.jobs` and hold its standard input open: the pipe closes
with its holder, however that ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from flows.engine import run, told, watched
from infra import jobs, uploads
from infra.wiring import Desk, desk, seated
from models.errors import ConsignError, Findings, UsageError

Identifiers = Mapping[str, Any]
LOOK_EVERY: Final = 1.0
"""Seconds between two looks for a job."""
SWEEP_EVERY: Final = 60.0
"""Seconds between two looks for files that nobody came back to."""


@dataclass(frozen=True)
class Asked:
    """A verb as people ask for it: what it is called, in English and 中文, and what it takes to ask for it."""

    words: tuple[str, str]
    action: str
    run: Callable[[Identifiers], object]
    """gets the identifiers of the job; a report, or a mapping of codes and counts, comes back"""


def _draft(given: Identifiers) -> object:
    from flows.plan import draft
    from infra import planspecs

    name = str(given["spec"])
    drafted = draft(planspecs.find(desk(), name))
    planspecs.forget(desk(), name)
    return {"plan_id": drafted.plan_id, "accounts": drafted.summary["accounts"]}


def _what_if(given: Identifiers) -> object:
    from flows.plan import would_be
    from infra import planspecs, workedout
    from infra.previews import tried_as

    plan_id, name = int(given["plan_id"]), str(given["spec"])
    spec = planspecs.find(desk(), name)
    found = would_be(plan_id, spec)
    kept = {"spec": json.loads(spec.json()), "differs": found.differs, "summary": found.summary}
    workedout.keep(desk(), tried_as(plan_id, name), kept)
    return {"plan": plan_id, "what_if": name, "moved": found.differs["moved"], "same": found.differs["same"]}


def _compare(given: Identifiers) -> object:
    from flows.plan import difference
    from infra import workedout
    from infra.previews import compared_as

    first, second = int(given["first"]), int(given["second"])
    found = difference(first, second)
    workedout.keep(desk(), compared_as(first, second), {"differs": found})
    return {"plan": second, "compared_with": first, "moved": found["moved"], "same": found["same"]}


def _place(given: Identifiers) -> object:
    from flows.place import place

    return run(place, plan_id=given["plan_id"])


def _deliver(given: Identifiers) -> object:
    from flows.deliver import deliver

    return run(deliver, agency=given.get("agency"))


def _collect(given: Identifiers) -> object:
    from flows.collect import collect

    return run(collect, agency=given.get("agency"))


def _reconcile(given: Identifiers) -> object:
    from flows.reconcile import reconcile

    return run(reconcile, lender=given.get("lender"), as_of=_day(given.get("as_of")))


def _rehearse(given: Identifiers) -> object:
    from flows.reconcile import rehearse

    return rehearse(given.get("lender"))


def _state(given: Identifiers) -> object:
    from flows.statement import state_period

    return run(state_period, lender=given["lender"], period=given["period"])


def _close(given: Identifiers) -> object:
    from flows.close import close_month

    return run(close_month, lender=given["lender"], period=given["period"])


def _bank(given: Identifiers) -> object:
    from flows.reconcile import import_statement
    from infra.outbox import scratch

    at = desk()
    upload = uploads.found(at, str(given["upload"]))
    words = upload.words
    try:
        with scratch(at) as folder:
            path = uploads.taken_out(upload, folder)
            call: dict[str, Any] = {
                "path": path, "lender": words["lender"], "layout": words.get("layout") or None,
                "new_account": bool(words.get("new_account")),
            }  # fmt: skip
            if account := words.get("account"):  # its number is no identifier: Prefect is not told it
                return import_statement(**call, account=account)
            return run(import_statement, **call)
    finally:
        uploads.drop(at, upload.upload)


def _check_portfolio(given: Identifiers) -> object:
    return _intake(str(given["upload"]), dry_run=True)


def _import_portfolio(given: Identifiers) -> object:
    return _intake(str(given["upload"]), dry_run=False)


def _intake(name: str, *, dry_run: bool) -> dict[str, Any]:
    """What was checked or came in, in counts; `found` and `header` are mappings. The upload goes once it is in."""
    from flows.intake import intake, progress_told

    at = desk()
    held = uploads.found(at, name)
    if held.by != at.actor:
        raise UsageError("that file was handed in by somebody else", fix="hand it in yourself")
    words = held.words
    call: dict[str, Any] = {
        "source": uploads.PREFIX + name, "profile": words["profile"], "lender": words["lender"],
        "as_of": date.fromisoformat(words["as_of"]), "threshold": words["threshold"], "dry_run": dry_run,
    }  # fmt: skip
    with progress_told(partial(uploads.note, at, name)):
        report = intake(**call) if dry_run else run(intake, **call)
    if not dry_run:
        uploads.drop(at, name)
    apart = {"refusals", "warnings", "columns", "rejects_path"}
    said = {key: value for key, value in vars(report).items() if key not in apart}
    found = {"refused": dict(report.refusals), "warning": dict(report.warnings)}
    return said | {"found": found, "header": {"columns": list(report.columns)}}


def _probe(given: Identifiers) -> object:
    from infra import probes

    found = probes.probe(desk(), str(given["agency"]))
    return {"agency": found.agency, "changed": sorted(found.changed), "notes": len(found.notes)}


def _scan_host(given: Identifiers) -> object:
    from infra import hostkeys

    found = hostkeys.scanned(desk(), str(given["agency"]))
    return {"agency": given["agency"], "shown": sum(one["shown"] for one in found), "keys": {"found": found}}


def _confirm_login(given: Identifiers) -> object:
    from infra import credentials

    made = credentials.confirm(desk(), str(given["agency"]))
    return {"agency": given["agency"], "generation": made.generation, "fingerprint": made.fingerprint}


def _certify(given: Identifiers) -> object:
    from flows.certify import start
    from models.certification import LEVELS

    level = given.get("level")
    if level not in LEVELS:
        raise UsageError("that is no level of a certification", fix=f"use one of {', '.join(LEVELS)}")
    return {"agency": given["agency"], "certification": start(str(given["agency"]), level)}


def _recall(given: Identifiers) -> object:
    from flows.recall import recall

    return run(recall, lender=given.get("lender"))


def _score(given: Identifiers) -> object:
    from flows.score import score

    return run(score, lender=given.get("lender"), as_of=_day(given.get("as_of")))


def _evaluate(given: Identifiers) -> object:
    from flows.evaluate import evaluate

    return run(
        evaluate, lender=given.get("lender"), as_of=_day(given.get("as_of")), kind=given.get("kind") or "periodic"
    )


def _consolidate(_given: Identifiers) -> object:
    from flows.consolidate import consolidate

    return run(consolidate)


def _fit_propensity(given: Identifiers) -> object:
    from flows.propensity import fit_propensity
    from infra.outbox import scratch

    fit = partial(
        run, fit_propensity, lender=given["lender"], horizon_days=given.get("horizon_days"),
        as_of=_day(given.get("as_of")),
        without=tuple(fact for fact in str(given.get("without") or "").split(",") if fact),
    )  # fmt: skip
    if not given.get("age_bands"):
        return fit()
    at = desk()
    bands = uploads.found(at, str(given["age_bands"]))
    try:
        if bands.by != at.actor:
            raise UsageError("that file was handed in by somebody else", fix="hand it in yourself")
        with scratch(at) as folder:
            return fit(age_bands=uploads.taken_out(bands, folder))
    finally:
        uploads.drop(at, bands.upload)


def _foretell(given: Identifiers) -> object:
    from flows.propensity import foretell

    return run(foretell, lender=given.get("lender"))


def _drift(given: Identifiers) -> object:
    from infra import workedout
    from infra.propensity.watching import look

    found = look(desk(), str(given["lender"]), int(given["model_id"]))
    told = {name: json.loads(getattr(found, name).to_json(orient="records")) for name in ("facts", "months")}
    workedout.keep(desk(), f"drift-{found.model_id}", told | {"as_of": found.as_of.isoformat(), "warns": found.warns})
    return {"looked_at": found.model_id, "warns": found.warns, "moved": found.moved, "off": found.off}


def _conduct(_given: Identifiers) -> object:
    from flows.conduct import conduct

    return run(conduct)


def _erase(given: Identifiers) -> object:
    from flows.erase import erase

    return run(erase, lender=given.get("lender"))


def _attend(given: Identifiers) -> object:
    from flows.subjects import attend

    return run(attend, lender=given.get("lender"))


def _strategise(given: Identifiers) -> object:
    from flows.strategy import strategise

    report = run(strategise, lender=given.get("lender"))
    one = report.runs[0] if len(report.runs) == 1 else None
    return vars(report) | {"strategy_run_id": one}


def _move(given: Identifiers) -> object:
    from flows.strategy import approve

    done = approve(given["run_id"], str(given.get("content") or ""), certified_too=bool(given.get("certified_too")))
    return {"strategy_run_id": done.run_id, "moves": done.moves, "plans": len(done.plans)}


def _cascade(given: Identifiers) -> object:
    from flows.strategy import approve_recalls

    return run(approve_recalls, proposal_id=given["proposal_id"])


def _follow_instalments(given: Identifiers) -> object:
    from flows.instalments import follow_instalments

    return run(follow_instalments, lender=given.get("lender"))


def _verify_audit(_given: Identifiers) -> object:
    from infra import witnesses

    found = witnesses.verify(desk())
    if not found.ok:
        message = f"the audit trail is broken: {found.why}"
        raise Findings(message, fix="keep the database as it is, restore a backup beside it and compare from there on")
    return {"events": found.events, "heads": found.heads, "heads_sent": found.heads_sent, "root": found.root}


def _forecast(given: Identifiers) -> object:
    from infra.forecasts import keeping

    return keeping.keep(desk(), given.get("lender"), int(given["months"]))


def _cost(given: Identifiers) -> object:
    from infra import comparisons

    return comparisons.answer(desk(), str(given["question"]))


def _books(given: Identifiers) -> object:
    from infra.books import taken

    return taken.take(desk(), taken.Wanted(**given))


def _retain(_given: Identifiers) -> object:
    from flows.retain import retain

    report = run(retain)
    return vars(report) | {"classes": sum(report.classes.values())} | report.classes


def _shred(given: Identifiers) -> object:
    from infra import shredding

    return shredding.shred(desk(), int(given["shredding_id"]))


def _back_up(_given: Identifiers) -> object:
    from infra import backups

    made = backups.make(desk())
    return {"backup": made.name, "size": made.size, "sha256": made.sha256}


def _check_backup(given: Identifiers) -> object:
    from infra import backups

    found = backups.check(desk(), str(given["name"]))
    if not found.ok:
        raise Findings(f"backup {found.name} is not sound: {found.why}", fix="make another one, and check older ones")
    return {"backup": found.name, "events": found.events, "identities": found.identities}


def _update(given: Identifiers) -> object:
    from flows.update import update

    return run(update, lender=given.get("lender"))


def _watch(_given: Identifiers) -> object:
    from flows.watch import watch

    return run(watch)


def _sweep(_given: Identifiers) -> object:
    from infra import shredding

    return {"finished": shredding.finish(desk(), thorough=True)}


def _sign_audit(_given: Identifiers) -> object:
    from infra import audit

    at = desk()
    with at.database.write() as connection:
        return {"head": audit.sign_head(connection, at.keyring, at.now())}


def _verify_books(given: Identifiers) -> object:
    from infra import closing

    found = closing.verified(desk(), given.get("lender"))
    if broken := [f"{one['lender']}: {one['law']}" for one in found if not one["holds"]]:
        raise Findings(f"the books do not hold: {'; '.join(broken)}", fix="`consign ledger verify` says where")
    return {"laws": len(found)}


VERBS: Final[Mapping[str, Asked]] = MappingProxyType(
    {
        "draft": Asked(("Draft a plan", "生成方案草稿"), "plans.change", _draft),
        "what_if": Asked(("Try a plan with other rules", "试算其他规则的方案"), "plans.change", _what_if),
        "compare": Asked(("Compare two plans", "比较两个方案"), "plans.see", _compare),
        "place": Asked(("Send a plan", "发送分案计划"), "plans.send", _place),
        "deliver": Asked(("Send what waits", "发送待发文件"), "agencies.change", _deliver),
        "collect": Asked(("Fetch the agencies' files", "收取机构文件"), "agencies.change", _collect),
        "reconcile": Asked(("Match", "匹配"), "breaks.work", _reconcile),
        "state": Asked(("State a month", "生成结算单"), "statements.change", _state),
        "close": Asked(("Close a month", "结账"), "closing.change", _close),
        "check_portfolio": Asked(("Check a portfolio", "检查资产文件"), "portfolios.import", _check_portfolio),
        "import_portfolio": Asked(("Take a portfolio in", "导入资产组合"), "portfolios.import", _import_portfolio),
        "probe": Asked(("Try an agency's server out", "试连机构服务器"), "agencies.reach", _probe),
        "scan_host": Asked(
            ("See what an agency's server shows", "查看机构服务器出示的主机密钥"), "agencies.keys", _scan_host
        ),
        "confirm_login": Asked(("Log in with our newest key", "用我方最新密钥登录"), "agencies.keys", _confirm_login),
        "certify": Asked(("Begin a certification", "开始认证"), "agencies.certify", _certify),
        "bank": Asked(("Take a bank statement in", "导入银行对账单"), "bank.import", _bank),
        "rehearse": Asked(("Match (dry run)", "试跑匹配"), "breaks.work", _rehearse),
        "update": Asked(("Tell agencies the balances that changed", "通知机构余额变动"), "operations.run", _update),
        "watch": Asked(("Look at every clock", "检查所有时限"), "operations.run", _watch),
        "sweep": Asked(("Write the store anew after deleting", "清除已删除内容的残留"), "operations.run", _sweep),
        "sign_audit": Asked(("Sign the audit trail's end", "签署审计记录的末端"), "operations.run", _sign_audit),
        "verify_books": Asked(("Check every law of the books", "检查账簿的全部规则"), "recoveries.see", _verify_books),
        "recall": Asked(("Take back what is due", "收回到期账户"), "recalls.change", _recall),
        "conduct": Asked(("Audit conduct", "审查催收行为"), "conduct.decide", _conduct),
        "erase": Asked(("Ask for erasures", "要求删除"), "erasures.ask", _erase),
        "attend": Asked(("See to debtors' requests", "处理债务人请求"), "subjects.work", _attend),
        "strategise": Asked(("Propose moves between stages", "提出阶段调整"), "strategies.run", _strategise),
        "move": Asked(("Move accounts between stages", "调整账户阶段"), "strategies.approve", _move),
        "cascade": Asked(("Take back what a strategy proposed", "收回策略提出的委案"), "strategies.approve", _cascade),
        "follow_instalments": Asked(
            ("Follow instalment plans", "跟进分期计划"), "instalments.decide", _follow_instalments
        ),
        "forecast": Asked(("Forecast cash", "预测回款"), "forecast.change", _forecast),
        "cost": Asked(("Price a month under other terms", "按其他条款试算月度费用"), "contracts.compare", _cost),
        "books": Asked(("Write the books for another program", "导出账簿"), "ledger.export", _books),
        "retain": Asked(("Delete what is due", "删除到期记录"), "retention.run", _retain),
        "shred": Asked(("Forget for good", "彻底删除"), "shreddings.approve", _shred),
        "back_up": Asked(("Back the store up", "备份数据库"), "backups.make", _back_up),
        "check_backup": Asked(("Check a backup", "检查备份"), "backups.make", _check_backup),
        "verify_audit": Asked(("Verify the audit trail", "验证审计记录"), "audit.see", _verify_audit),
        "consolidate": Asked(("Look up who is linked", "查找关联债务人"), "consolidation.change", _consolidate),
        "fit_propensity": Asked(("Fit a model of who pays", "拟合还款倾向模型"), "propensity.change", _fit_propensity),
        "foretell": Asked(("Ask the models of who pays", "运行还款倾向模型"), "propensity.change", _foretell),
        "drift": Asked(("See whether a model still fits", "检查模型是否仍然适用"), "propensity.see", _drift),
        "evaluate": Asked(("Evaluate the agencies", "评估机构"), "evaluations.change", _evaluate),
        "score": Asked(("Score the agencies", "为机构评分"), "scorecards.see", _score),
    }
)
"""By name; console.web asks for them by it."""


def work_off(at: Desk) -> int:
    """Run what waits at the desk's store, each at a desk of who asked for it; how many there were."""
    count = 0
    while (taken := jobs.take(at)) is not None:
        _run(at, taken)
        count += 1
    return count


def _run(at: Desk, taken: jobs.Taken) -> None:
    with jobs.alive(at, taken.job_id) as progress, seated(at.acting(taken.actor)), watched(progress):
        try:
            report = VERBS[taken.verb].run(taken.identifiers)
        except ConsignError as error:
            jobs.failed(at, taken.job_id, str(error), error.fix)
        except Exception as error:  # noqa: BLE001 - a job's failure is its own: the worker goes on
            jobs.failed(at, taken.job_id, str(told(f"job {taken.verb}", error)), "home/faults has it by its number")
        else:
            jobs.done(at, taken.job_id, _counts(report))


def _counts(report: object) -> Mapping[str, Any]:
    """What a report says in numbers and words; lists by their length."""
    said = report if isinstance(report, Mapping) else getattr(report, "__dict__", {})
    return {
        str(name): len(value) if isinstance(value, list | tuple | set | frozenset) else value
        for name, value in said.items()
        if not str(name).startswith("_")
    }


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@contextmanager
def beside(at: Desk) -> Iterator[threading.Thread]:
    """A worker in a thread of this process, in the block: for tests and trials."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.05):
            work_off(at)

    thread = threading.Thread(target=loop, name="jobs", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()


def main() -> int:
    """Work until standard input closes."""
    over = threading.Event()

    def listen() -> None:
        with suppress(OSError):
            sys.stdin.buffer.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    at = desk()
    swept = time.monotonic()
    while not over.wait(LOOK_EVERY):
        work_off(at)
        if time.monotonic() - swept > SWEEP_EVERY:
            uploads.sweep(at)
            swept = time.monotonic()
    return 0


if __name__ == "__main__":
    sys.exit(main())
