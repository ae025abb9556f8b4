"""What an agency must show before it gets a debtor: levels, steps, planted faults, and when a step is done.

A certification runs on synthetic accounts alone, under a lender of its own (`LENDER`), in a store of its own
(infra/certification.py). Here is what is asked and how it is judged, of plain values; docs/reference/certification.md
is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

Level = Literal["exchange", "work", "money"]
State = Literal["waiting", "open", "done", "failed"]
"""`waiting`: something else comes first; `open`: it is somebody's turn; `failed`: seen, and not as it must be."""

LENDER: Final = "certification"
"""The lender that test files name. No real lender can have this code."""
LEVELS: Final[tuple[Level, ...]] = ("exchange", "work", "money")
"""Each holds the one before it."""
LEVELS_ABOUT: Final[Mapping[Level, tuple[str, str]]] = MappingProxyType({
    "exchange": (
        "keys compared on both sides, a test placement booked, every fault in our files noticed, own mistakes mended",
        "双方核对密钥，登记测试委案，发现我方文件中的每个错误，并改正自己的错误",
    ),
    "work": (
        "contacts, complaints, plans, holds; recalls confirmed in time, erasure certified: what working accounts needs",
        "催收记录、投诉、分期方案、暂停催收申请；按时确认退案，出具删除证明：作业所需",
    ),
    "money": (
        "remittances, reversals, invoices: what an agency needs that debtors pay to",
        "回款、冲正、佣金账单：债务人向其付款的机构所需",
    ),
})  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing to show: whose turn it is, what it is, and what to do, in both languages."""

    code: str
    level: Level
    by: Literal["lender", "agency"]
    about: str
    about_zh: str
    fix: str
    fix_zh: str


@dataclass(frozen=True)
class Plant:
    """A fault that the lender plants in a test placement: what the agency says of it, and what it must not book."""

    name: str
    answers: tuple[frozenset[str], ...]
    """one set of codes per line that the agency's `refusal` must have; any of the set will do"""
    books: bool
    """whether the file (but for its bad lines) is to be acknowledged all the same"""
    about: str
    about_zh: str

    @property
    def step(self) -> str:
        """The step that is done when it is answered."""
        return f"fault_{self.name}"


def _plant(name: str, answers: tuple[str, ...], about: str, about_zh: str, *, books: bool = False) -> Plant:
    return Plant(name, tuple(frozenset(one.split()) for one in answers), books, about, about_zh)


PLANTS: Final[Mapping[str, Plant]] = MappingProxyType({
    plant.name: plant
    for plant in (
        _plant("damaged", ("tampered bad_signature truncated",), "one byte was changed on its way",
               "传输中有一个字节被改动"),
        _plant("foreign_key", ("wrong_signer bad_signature unknown_key",), "signed with a key that is not ours",
               "用不属于我方的密钥签名"),
        _plant("hash", ("hash",), "an amount was changed in the table after the manifest was made",
               "清单生成后，表中的一个金额被改动"),
        _plant("control_sum", ("control_sum",), "the control sum is not the sum of the lines",
               "控制总额与各行之和不符"),
        _plant("lines", ("not_currency wrong_currency", "repeated"),
               "one line is in no currency that exists, one account stands there twice; the other lines are good",
               "一行币种不存在，一个账户出现两次；其余各行无误", books=True),
        _plant("repeat", ("sequence_repeat",), "another file under a number that was used before",
               "用已用过的顺序号发送另一个文件"),
        _plant("gap", ("sequence_gap",), "the file is good, but the number before it never came",
               "文件本身无误，但前一个顺序号从未收到", books=True),
    )
})  # fmt: skip
"""In the order of their sequence numbers."""

SPOILT_UPDATE: Final = "update"
"""Beside the placements: an `update` whose control sum is wrong (level money)."""


def _kind_step(kind: str, level: Level, about: str, about_zh: str) -> Step:
    return Step(
        kind, level, "agency", about, about_zh,
        f"Send a `{kind}` file with at least one good line; the receipt says what is wrong with the others.",
        f"发送至少含一行正确内容的 `{kind}` 文件；其余问题见回执。",
    )  # fmt: skip


STEPS: Final[Mapping[str, Step]] = MappingProxyType({
    step.code: step
    for step in (
        Step("keys_heard", "exchange", "lender",
             "the lender has typed in the fingerprints that the agency read out by telephone",
             "委托方已输入机构在电话中读出的指纹",
             "Telephone, at the number in the contract; `consign agency certify fingerprint` takes what is read out.",
             "拨打合同上的电话；委托方用 `consign agency certify fingerprint` 输入所听到的指纹。"),
        Step("keys_read_back", "exchange", "agency",
             "the agency has sent back the fingerprints of the lender's keys that it uses",
             "机构已发回其所用的委托方密钥指纹",
             "Send a `fingerprint` file with the lender's fingerprints as you see them on your machine.",
             "发送 `fingerprint` 文件，写明您机器上看到的委托方密钥指纹。"),
        Step("drop_reached", "exchange", "lender", "the lender has reached the drop and found that it can be used",
             "委托方已连上交换目录并确认可用",
             "The lender runs `consign agency probe`; let its SSH key in, and its host key must be the pinned one.",
             "委托方运行 `consign agency probe`；请允许其 SSH 公钥登录，主机密钥须与固定的一致。"),
        Step("placement_acknowledged", "exchange", "agency",
             "every account of the test placement is acknowledged with the balance that was placed",
             "测试委案的每个账户都已按委案余额确认登记",
             "Send an `acknowledgement`: one line per account, `booked_balance` exactly as in the placement.",
             "发送 `acknowledgement`：每个账户一行，`booked_balance` 与委案文件完全一致。"),
        *(
            Step(plant.step, "exchange", "agency", f"planted fault answered: {plant.about}",
                 f"已指出预设错误：{plant.about_zh}",
                 "Do not book it. Say so in a `refusal` file: its name, the line where it is a line, and the code "
                 + " and ".join("/".join(sorted(codes)) for codes in plant.answers) + ".",
                 "不要登记。用 `refusal` 文件说明：文件名、行号（若为某行）、代码 "
                 + "、".join("/".join(sorted(codes)) for codes in plant.answers) + "。")
            for plant in PLANTS.values()
        ),
        Step("mistake_line", "exchange", "agency", "a file with a bad line was sent on purpose, and the line mended",
             "故意发送含错误行的文件，并已改正",
             "Send an `acknowledgement` with one bad line, read the receipt, and send the line again, mended.",
             "发送含一行错误的 `acknowledgement`，阅读回执，改正后再发该行。"),
        Step("mistake_control_sum", "exchange", "agency", "a file with a wrong control sum was sent, and mended",
             "发送控制总额有误的文件，并已改正",
             "Change a control sum before you seal; the file is refused whole; send it again, right.",
             "封装前改动控制总额；文件会被整体拒收；改正后重发。"),
        Step("mistake_repeat", "exchange", "agency", "a number was used twice, and refused",
             "重复使用顺序号，并被拒收",
             "Send another `acknowledgement` under a number that was accepted already, and see it refused.",
             "用已接收过的顺序号再发一个 `acknowledgement`，确认其被拒收。"),
        _kind_step("activity", "work", "contacts are reported", "已上报催收记录"),
        _kind_step("complaint", "work", "a complaint is reported", "已上报投诉"),
        _kind_step("plan", "work", "an instalment plan is proposed", "已提出分期方案"),
        _kind_step("hold_request", "work", "a hold is asked for", "已申请暂停催收"),
        _kind_step("recall_objection", "work", "an objection to a recall is made", "已对退案提出异议"),
        Step("recall_confirmed", "work", "agency", "every recalled account came back by the day given",
             "每个被退案的账户都按期退回",
             "Send a `return` with reason `recalled` for each account of the recall, by `due_back_on`.",
             "在 `due_back_on` 之前，对退案的每个账户发送 `return`，原因为 `recalled`。"),
        Step("erasure_certified", "work", "agency", "the erasure that was asked for is certified, nothing retained",
             "已出具删除证明，未保留任何内容",
             "Delete what you hold of these accounts and send an `erasure_certificate` with scope `all`.",
             "删除所持有的这些账户的资料，并发送 scope 为 `all` 的 `erasure_certificate`。"),
        Step("fault_update", "money", "agency",
             "planted fault answered: an update of balances whose control sum is not the sum of its lines",
             "已指出预设错误：余额更新文件的控制总额与各行之和不符",
             "Do not book it. Say so in a `refusal` file with the code control_sum.",
             "不要登记。用 `refusal` 文件说明，代码 control_sum。"),
        _kind_step("remittance", "money", "a recovery is remitted", "已汇出回款"),
        Step("reversal", "money", "agency", "a recovery is reversed", "已冲正一笔回款",
             "Send a `remittance` line of type `reversal`, negative, with `original_txn_id`.",
             "发送类型为 `reversal` 的 `remittance` 行，金额为负，并填写 `original_txn_id`。"),
        Step("mistake_net", "money", "agency", "a remittance line that does not add up was sent on purpose, and mended",
             "故意发送金额不平的回款行，并已改正",
             "Send a `remittance` line whose net is not gross less commission and VAT; send it again, mended.",
             "发送净额不等于总额减佣金减税额的 `remittance` 行；改正后重发。"),
        _kind_step("invoice", "money", "commission is invoiced", "已开具佣金佣金账单"),
    )
})  # fmt: skip
"""In the order in which they are told."""

FAULTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "other_key": (
        "The fingerprint is not that of the key we hold. Somebody may sit between us: stop, telephone, start again.",
        "指纹与我方持有的密钥不符。可能有人居中：停止，打电话核实，重新开始。",
    ),
    "unreachable": (
        "The drop could not be reached or used; the lender sees why.", "无法连上或使用交换目录；原因见委托方。",
    ),
    "balance_differs": (
        "A booked balance is not the placed one. Send the acknowledgement of that account again, mended.",
        "登记余额与委案余额不一致。请改正后重发该账户的确认。",
    ),
    "declined": (
        "A test account was declined. Start again and book every account.", "拒收了测试账户。请重新开始并全部登记。",
    ),
    "booked": (
        "You acknowledged what you should have refused: your machine does not check it. Mend it; the run starts again.",
        "您登记了本应拒收的内容：您的程序未做该检查。请改正；须重新开始。",
    ),
    "other_code": ("You refused it, but not for the reason it has. Send a `refusal` line with the right code.",
                   "您已拒收，但原因不对。请用正确代码再发一行 `refusal`。"),
    "late": ("It came after the day given. The run starts again.", "超过规定日期。须重新开始。"),
    "certificate_unsatisfied": ("Something was retained, or the date cannot be true. Send it again.",
                                "有内容被保留，或日期不可能。请重发。"),
})  # fmt: skip
"""Why a step failed, and what mends it."""
STOPS: Final = frozenset({"other_key"})
"""Failures that end the run at once."""
FINAL: Final = frozenset({"booked", "late", "declined"})
"""Failures that nothing in the same run mends."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one step."""

    state: State
    code: str | None = None


WAITING, OPEN, DONE = Verdict("waiting"), Verdict("open"), Verdict("done")


def _files() -> pd.DataFrame:
    return pd.DataFrame({
        "file_id": pd.Series(dtype="int64"), "kind": pd.Series(dtype="str"), "state": pd.Series(dtype="str"),
        "refusal_code": pd.Series(dtype="str"), "rows": pd.Series(dtype="int64"),
        "rows_refused": pd.Series(dtype="int64"), "codes": pd.Series(dtype="str"),
    })  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """What has been seen of one run so far, in plain values.

    files: what came, in order: file_id, kind, state, refusal_code, rows, rows_refused, codes (of its refused lines,
    spaces between). placements: plant ("test" or a name of PLANTS), bad (its line was spoilt), state, delivered,
    balance_minor, booked_minor, end_reason, recall_due_on, confirmed_on, erasure ("", asked, verified, unsatisfied).
    refusals: plant ("update" too), code. known: verdicts that no file shows (the telephone's, the probe's).
    """

    today: date
    files: pd.DataFrame = field(default_factory=_files)
    placements: pd.DataFrame = field(default_factory=pd.DataFrame)
    refusals: pd.DataFrame = field(default_factory=pd.DataFrame)
    known: Mapping[str, Verdict] = field(default_factory=dict)
    recoveries: int = 0
    reversals: int = 0
    update_sent: bool = False


def steps_of(level: Level) -> tuple[Step, ...]:
    """The steps of the level and of those below it."""
    asked = LEVELS[: LEVELS.index(level) + 1]
    return tuple(step for step in STEPS.values() if step.level in asked)


def covers(has: Level, needed: Level) -> bool:
    """True where a certificate of the first level is one of the second as well."""
    return LEVELS.index(has) >= LEVELS.index(needed)


def judge(level: Level, seen: Evidence) -> dict[str, Verdict]:
    """A verdict per step of the level, in their order."""
    return {step.code: _verdict(step, seen) for step in steps_of(level)}


def _verdict(step: Step, seen: Evidence) -> Verdict:
    if step.code in seen.known:
        return seen.known[step.code]
    name = step.code.removeprefix("fault_")
    if name in PLANTS and step.code.startswith("fault_"):
        return _planted(PLANTS[name], seen)
    return _JUDGES[step.code](seen) if step.code in _JUDGES else _took(seen, step.code)


def level_done(level: Level, verdicts: Mapping[str, Verdict]) -> bool:
    """True where every step of exactly this level is done."""
    return all(verdicts[step.code] == DONE for step in STEPS.values() if step.level == level and step.code in verdicts)


def _of(seen: Evidence, plant: str) -> pd.DataFrame:
    return seen.placements[seen.placements["plant"] == plant] if len(seen.placements) else seen.placements


def _acknowledged(seen: Evidence) -> Verdict:
    mine = _of(seen, "test")
    if mine.empty or not mine["delivered"].all():
        return WAITING
    if (mine["end_reason"] == "declined").any():
        return Verdict("failed", "declined")
    booked = mine["booked_minor"].notna()
    if (mine.loc[booked, "booked_minor"] != mine.loc[booked, "balance_minor"]).any():
        return Verdict("failed", "balance_differs")
    return DONE if booked.all() else OPEN


def _planted(plant: Plant, seen: Evidence) -> Verdict:
    mine = _of(seen, plant.name)
    if mine.empty or not mine["delivered"].all():
        return WAITING
    must_not = mine if not plant.books else mine[mine["bad"]]
    if must_not["booked_minor"].notna().any():
        return Verdict("failed", "booked")
    answered = _answered(seen, plant.name, plant.answers)
    must = mine[~mine["bad"]] if plant.books else mine.iloc[:0]
    return answered if answered != DONE or must["booked_minor"].notna().all() else OPEN


def _answered(seen: Evidence, plant: str, answers: tuple[frozenset[str], ...]) -> Verdict:
    said = set(seen.refusals.loc[seen.refusals["plant"] == plant, "code"]) if len(seen.refusals) else set()
    if all(codes & said for codes in answers):
        return DONE
    return Verdict("failed", "other_code") if said - frozenset().union(*answers) else OPEN


def _took(seen: Evidence, kind: str) -> Verdict:
    """Done where a file of the kind was accepted with a good line in it."""
    files = seen.files
    good = (files["kind"] == kind) & (files["state"] == "accepted") & (files["rows"] > files["rows_refused"])
    return DONE if good.any() else OPEN


def _mended(seen: Evidence, spoilt: pd.Series) -> Verdict:
    """Done where after a spoilt file one of its kind came without a fault."""
    files = seen.files
    for place in spoilt.to_numpy().nonzero()[0]:
        after = files.iloc[place + 1 :]
        clean = (after["state"] == "accepted") & (after["rows_refused"] == 0)
        if (clean & (after["kind"] == files["kind"].iloc[place])).any():
            return DONE
    return OPEN


def _mistake_line(seen: Evidence) -> Verdict:
    return _mended(seen, (seen.files["state"] == "accepted") & (seen.files["rows_refused"] > 0))


def _mistake_control_sum(seen: Evidence) -> Verdict:
    return _mended(seen, seen.files["refusal_code"] == "control_sum")


def _mistake_repeat(seen: Evidence) -> Verdict:
    return DONE if seen.files["refusal_code"].isin(["sequence_repeat", "replayed"]).any() else OPEN


def _mistake_net(seen: Evidence) -> Verdict:
    wrong = seen.files["codes"].fillna("").str.contains("net_does_not_add_up", regex=False)
    return _mended(seen, (seen.files["kind"] == "remittance") & wrong)


def _recalled(seen: Evidence) -> Verdict:
    rows = seen.placements
    mine = rows[rows["recall_due_on"].notna()] if len(rows) else rows
    if mine.empty:
        return WAITING
    due = pd.to_datetime(mine["recall_due_on"])
    if mine["confirmed_on"].notna().all():
        return DONE if (pd.to_datetime(mine["confirmed_on"]) <= due).all() else Verdict("failed", "late")
    return Verdict("failed", "late") if (due < pd.Timestamp(seen.today)).any() else OPEN


def _erased(seen: Evidence) -> Verdict:
    rows = seen.placements
    mine = rows.loc[rows["erasure"] != "", "erasure"] if len(rows) else pd.Series(dtype="str")
    if mine.empty:
        return WAITING
    if (mine == "unsatisfied").any():
        return Verdict("failed", "certificate_unsatisfied")
    return DONE if (mine == "verified").all() else OPEN


def _update_refused(seen: Evidence) -> Verdict:
    return _answered(seen, SPOILT_UPDATE, (frozenset({"control_sum"}),)) if seen.update_sent else WAITING


_JUDGES: Final[Mapping[str, Callable[[Evidence], Verdict]]] = MappingProxyType({
    "keys_heard": lambda _: OPEN,
    "keys_read_back": lambda _: OPEN,
    "drop_reached": lambda _: OPEN,
    "placement_acknowledged": _acknowledged,
    "mistake_line": _mistake_line,
    "mistake_control_sum": _mistake_control_sum,
    "mistake_repeat": _mistake_repeat,
    "mistake_net": _mistake_net,
    "recall_confirmed": _recalled,
    "erasure_certified": _erased,
    "fault_update": _update_refused,
    "remittance": lambda seen: DONE if seen.recoveries else OPEN,
    "reversal": lambda seen: DONE if seen.reversals else OPEN,
})  # fmt: skip


def same_fingerprint(said: str, held: str) -> bool:
    """True where what was read out is the fingerprint: spaces do not count, nor the case of hexadecimal digits."""
    spoken, kept = "".join(said.split()), "".join(held.split())
    if kept.startswith("SHA256:"):
        return spoken.removeprefix("SHA256:") == kept.removeprefix("SHA256:")
    return spoken.upper() == kept.upper()
