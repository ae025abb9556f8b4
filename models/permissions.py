"""Who may do what: the one table that console and API enforce, tests walk and docs/reference/permissions.md tells.

An action is something that a person sees or does. Whoever holds one of its roles may; what a lender's person may do
concerns the whole house, what an agency's person may do concerns that agency alone. Whether a second person must agree
is for the rule behind the action to decide: here it is only said.
"""

# ruff: noqa: E501 - an action is one row of a table, and 中文 counts twice

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from models.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

AGENCY: Final = "agency"
"""The role of everybody whose account belongs to an agency; no other role goes with it."""
Scope = Literal["lender", "agency"]


@dataclass(frozen=True)
class Action:
    """One thing that a person sees or does."""

    id: str
    roles: frozenset[str]
    words: tuple[str, str]
    """what it is, in English and in 中文"""
    scope: Scope = "lender"
    """`lender`: the whole house; `agency`: what belongs to the person's own agency"""
    second_person: bool = False
    """whether it is the second person's: never done by whoever asked for it"""


EVERYBODY: Final = (*ROLES, AGENCY)
LENDER: Final = ROLES
PORTFOLIO: Final = ("portfolio_manager",)
FINANCE: Final = ("finance",)
OPERATIONS: Final = ("operations",)
COMPLIANCE: Final = ("compliance",)
ADMINISTRATOR: Final = ("administrator",)


def _action(
    name: str, roles: Collection[str], english: str, chinese: str, *, scope: Scope = "lender", second: bool = False
) -> Action:
    return Action(name, frozenset(roles), (english, chinese), scope, second)


_TABLE: Final = (
    # everybody
    _action("home.see", EVERYBODY, "see what waits for oneself", "查看待办"),
    _action("account.own", EVERYBODY, "change one's own password, codes, sessions, language", "管理自己的密码、验证器、会话和语言"),
    _action("help.see", EVERYBODY, "read the help", "阅读帮助"),
    _action("jobs.see", LENDER, "see the jobs that run", "查看正在运行的任务"),
    _action("exceptions.see", LENDER, "see exceptions of the exchange", "查看交换异常"),
    _action("exceptions.work", LENDER, "take, comment on and resolve exceptions", "处理、备注和解决交换异常"),
    # portfolio
    _action("portfolios.see", LENDER, "see portfolios and placements", "查看资产组合与委案"),
    _action("portfolios.import", (*PORTFOLIO, *OPERATIONS), "take portfolios in", "导入资产组合"),
    _action("lenders.change", (*PORTFOLIO, *ADMINISTRATOR), "add lenders", "新增出借人"),
    _action("holds.change", (*PORTFOLIO, *COMPLIANCE), "put debtors on hold and lift holds", "设置和解除暂停催收"),
    _action("plans.see", LENDER, "see plans and their previews", "查看分案计划与预览"),
    _action("plans.change", PORTFOLIO, "make, submit and discard plans", "制定、提交和作废分案计划"),
    _action("plans.approve", PORTFOLIO, "approve a plan that somebody else submitted", "复核他人提交的分案计划", second=True),
    _action("plans.send", PORTFOLIO, "send an approved plan", "发送已批准的分案计划"),
    _action("recalls.see", LENDER, "see recalls", "查看收回"),
    _action("recalls.change", PORTFOLIO, "take accounts back", "收回账户"),
    _action("schedules.see", LENDER, "see schedules", "查看定时任务"),
    _action("schedules.change", (*PORTFOLIO, *OPERATIONS), "pause and resume schedules", "暂停和恢复定时任务"),
    _action("strategies.see", LENDER, "see strategies, what they proposed, and the stages of accounts", "查看策略、策略提案与账户阶段"),
    _action("strategies.change", (*PORTFOLIO, *COMPLIANCE), "propose and withdraw versions of strategies", "提出和撤回策略版本"),
    _action("strategies.run", PORTFOLIO, "run strategies, and refuse what they propose", "运行策略、否决策略提案"),
    _action("strategies.approve", PORTFOLIO, "approve versions, moves and recalls that somebody else proposed", "复核他人提出的策略版本、阶段调整与收回", second=True),
    _action("instalments.see", LENDER, "see instalment plans and their limits", "查看分期计划及其限额"),
    _action("instalments.decide", PORTFOLIO, "approve and refuse instalment plans", "批准和拒绝分期计划"),
    _action("instalments.limits", (*PORTFOLIO, *COMPLIANCE), "propose and withdraw limits of instalment plans", "提出和撤回分期限额版本"),
    _action("instalments.limits_approve", PORTFOLIO, "approve limits that somebody else proposed", "复核他人提出的分期限额", second=True),
    # agencies
    _action("agencies.see", LENDER, "see agencies, their contracts, keys and files", "查看机构及其合同、密钥和文件"),
    _action("agencies.change", (*PORTFOLIO, *OPERATIONS), "activate and suspend agencies", "启用和暂停机构"),
    _action("agencies.keys", OPERATIONS, "hand in, withdraw and revoke keys of agencies", "登记、撤回和吊销机构密钥"),
    _action(
        "agencies.keys_approve", OPERATIONS, "approve keys that somebody else handed in", "复核他人登记的机构密钥", second=True
    ),
    _action("agencies.reach", OPERATIONS, "say how agencies are reached, and try their servers out", "设置机构连接方式并试连其服务器"),
    _action("agencies.certify", (*PORTFOLIO, *OPERATIONS), "certify agencies, and ask to waive a certificate", "办理机构认证、申请豁免证书"),
    _action("waivers.grant", COMPLIANCE, "grant a waiver that somebody else asked for", "复核他人的豁免申请", second=True),
    _action("diligence.change", COMPLIANCE, "put evidence about agencies on record", "登记机构尽职调查材料"),
    _action("layouts.change", OPERATIONS, "keep layouts, and agree on one with an agency", "保存版式并与机构约定版式"),
    _action("keys.change", OPERATIONS, "renew, announce and revoke our own keys", "更换、公告和吊销我方密钥"),
    _action("contracts.change", (*PORTFOLIO, *FINANCE), "propose and withdraw terms of contracts", "提出和撤回合同条款"),
    _action(
        "contracts.approve", FINANCE, "approve terms that somebody else proposed", "复核他人提出的合同条款", second=True
    ),
    _action("contracts.compare", (*PORTFOLIO, *FINANCE), "reckon what a month would cost under other terms", "按其他条款试算月度费用"),
    _action("scorecards.see", LENDER, "see scorecards", "查看评分卡"),
    _action("scorecards.change", PORTFOLIO, "score the agencies anew", "重新为机构评分"),
    _action("evaluations.see", LENDER, "see what evaluations propose for the next cycle", "查看周期评估的建议"),
    _action("evaluations.change", (*PORTFOLIO, *COMPLIANCE), "evaluate the agencies, and say no to an evaluation", "评估机构，或否决评估"),
    _action("evaluations.approve", (*PORTFOLIO, *COMPLIANCE), "approve an evaluation that somebody else proposed", "复核他人提出的评估", second=True),
    _action("propensity.see", (*PORTFOLIO, *COMPLIANCE), "see models of who pays, and why one says what it says", "查看还款倾向模型及其解释"),
    _action("propensity.change", PORTFOLIO, "fit, ask and withdraw models of who pays", "拟合、运行和撤回还款倾向模型"),
    _action("propensity.approve", PORTFOLIO, "approve a model that somebody else made", "复核他人制作的模型", second=True),
    _action("propensity.switch", (*PORTFOLIO, *COMPLIANCE), "propose what models of who pays are used for, and take it back", "提出还款倾向模型的用途及撤回"),
    _action("propensity.switch_approve", COMPLIANCE, "approve a use of models that somebody else proposed", "复核他人提出的模型用途", second=True),
    # finance
    _action("breaks.see", LENDER, "see breaks", "查看差异"),
    _action("breaks.work", FINANCE, "match, comment on and assign breaks", "匹配、备注和分配差异"),
    _action("breaks.approve", FINANCE, "approve what somebody else proposed for a break", "复核他人提出的差异处理", second=True),
    _action("recoveries.see", LENDER, "see recoveries", "查看回款"),
    _action("statements.see", LENDER, "see and download statements", "查看和下载结算单"),
    _action("statements.change", FINANCE, "make statements", "生成结算单"),
    _action("closing.see", LENDER, "see what stands in the way of a close", "查看结账障碍"),
    _action("closing.change", FINANCE, "close a month", "结账"),
    _action("closing.approve", FINANCE, "agree to a close, or to opening a month again", "复核结账或重新开账", second=True),
    _action("payments.see", LENDER, "see payment runs", "查看付款批次"),
    _action("payments.change", FINANCE, "propose payment runs and give them to the bank", "提出付款批次并交给银行"),
    _action("payments.approve", FINANCE, "approve a payment run that somebody else proposed", "复核他人提出的付款批次", second=True),
    _action("forecast.see", LENDER, "see what cash to expect", "查看回款预测"),
    _action("forecast.change", (*PORTFOLIO, *FINANCE), "forecast cash anew", "重新预测回款"),
    _action("ledger.export", FINANCE, "take the books away for another program", "导出账簿"),
    _action("bank.import", FINANCE, "take bank statements in", "导入银行对账单"),
    # compliance
    _action("policies.see", LENDER, "see release policies and what they let out", "查看字段策略及其外发内容"),
    _action("policies.change", (*COMPLIANCE, *PORTFOLIO), "propose and withdraw versions of release policies", "提出和撤回字段策略版本"),
    _action("policies.approve", COMPLIANCE, "approve a policy that somebody else proposed", "复核他人提出的字段策略", second=True),
    _action("disclosures.ask", COMPLIANCE, "ask who was told what about a debtor", "查询债务人信息的披露记录"),
    _action("identities.ask", COMPLIANCE, "see whom an account belongs to, with a reason", "凭理由查看账户持有人身份"),
    _action("subjects.see", COMPLIANCE, "see what debtors asked about their data", "查看债务人的个人信息请求"),
    _action("subjects.work", COMPLIANCE, "open, verify, answer and refuse debtors' requests", "受理、核验、答复和拒绝债务人请求"),
    _action("erasures.see", LENDER, "see erasures and their certificates", "查看删除及其证明"),
    _action("erasures.ask", (*COMPLIANCE, *OPERATIONS), "ask agencies to erase what has ended", "要求机构删除已结束的委案"),
    _action("consolidation.see", (*PORTFOLIO, *COMPLIANCE, *FINANCE), "see on what basis debtors of several lenders are one", "查看合并催收的依据"),
    _action("consolidation.change", (*PORTFOLIO, *COMPLIANCE), "propose and end bases of consolidated collection", "提出和终止合并催收依据"),
    _action("consolidation.approve", COMPLIANCE, "approve a basis that somebody else proposed", "复核他人提出的合并催收依据", second=True),
    _action("consolidation.people", COMPLIANCE, "see which debtors of several lenders are one person", "查看哪些债务人是同一人"),
    _action("consolidation.payments", (*FINANCE, *COMPLIANCE), "see joint payments and how they were split", "查看合并还款及其拆分"),
    _action("consolidation.split", FINANCE, "take joint payments in and split them", "登记并拆分合并还款"),
    _action("complaints.see", LENDER, "see complaints", "查看投诉"),
    _action("complaints.work", (*COMPLIANCE, *OPERATIONS), "register, take and close complaints", "登记、认领和办结投诉"),
    _action("conduct.see", LENDER, "see breaches of conduct rules, and gates", "查看违规与闸门"),
    _action("conduct.decide", COMPLIANCE, "uphold and dismiss breaches", "认定或驳回违规"),
    _action("rules.change", COMPLIANCE, "choose the rule packs that a lender's agencies are audited by", "选择审查机构所用的规则包"),
    _action("gates.ask", (*COMPLIANCE, *PORTFOLIO), "ask to lift a gate", "申请解除闸门"),
    _action("gates.grant", COMPLIANCE, "lift a gate that somebody else asked to lift", "复核他人的解除闸门申请", second=True),
    _action("allowances.see", LENDER, "see what the gate found in files that were to leave, and false alarms", "查看出口闸门的检查结果与误报"),
    _action("allowances.ask", (*COMPLIANCE, *PORTFOLIO), "ask that a false alarm of the gate may pass, and end it", "申请放行闸门误报及终止放行"),
    _action("allowances.approve", COMPLIANCE, "let a false alarm pass that somebody else asked for", "复核他人的误报放行申请", second=True),
    _action("retention.see", (*COMPLIANCE, *OPERATIONS), "see what is kept how long, what is due and what was deleted", "查看保存期限、到期记录和已删除记录"),
    _action("retention.run", (*COMPLIANCE, *OPERATIONS), "delete what is due", "删除到期记录"),
    _action("retention.hold", COMPLIANCE, "place a legal hold", "设置法律保全"),
    _action("retention.lift", COMPLIANCE, "lift a legal hold that somebody else placed", "解除他人设置的法律保全", second=True),
    _action("shreddings.ask", COMPLIANCE, "ask that a debtor or a portfolio be forgotten for good, and withdraw it", "申请彻底删除债务人或资产组合及撤回申请"),
    _action("shreddings.approve", COMPLIANCE, "forget for good whom somebody else asked to", "复核他人的彻底删除申请", second=True),
    _action("reports.see", COMPLIANCE, "draft impact assessments, records of processing and reports of data breaches", "起草影响评估、处理活动记录与数据泄露报告"),
    _action("audit.see", COMPLIANCE, "read and verify the audit trail", "查看并验证审计记录"),
    # agencies' own people
    _action("portal.see", (AGENCY,), "see one's own agency's files, statements and scorecard", "查看本机构的文件、结算单和评分卡", scope="agency"),
    _action("portal.check", (AGENCY,), "check a file before sending it", "发送前检查文件", scope="agency"),
    _action("portal.keys", (AGENCY,), "hand in one's own agency's keys, compare the lender's", "提交本机构密钥、核对出借人密钥", scope="agency"),
    # the house
    _action("people.see", ADMINISTRATOR, "see who has an account", "查看人员账号"),
    _action("people.change", ADMINISTRATOR, "add and disable people, end their sessions", "新增和停用人员、结束会话"),
    _action("roles.change", ADMINISTRATOR, "give and take roles, never one's own", "授予和收回角色，不含本人"),
    _action("operations.see", (*OPERATIONS, *ADMINISTRATOR), "see how the installation is", "查看系统运行状况"),
    _action("operations.run", OPERATIONS, "run now what runs by itself", "立即执行例行任务"),
    _action("backups.make", (*OPERATIONS, *ADMINISTRATOR), "make and check backups", "制作和检查备份"),
    _action("backups.remove", ADMINISTRATOR, "remove a backup and destroy its key", "删除备份并销毁其密钥"),
    _action("escrows.ask", ADMINISTRATOR, "ask that the whole keyring be let out to a holder", "申请向保管人导出整个密钥环"),
    _action("escrows.withdraw", ADMINISTRATOR, "withdraw a request about the whole keyring", "撤回关于整个密钥环的申请"),
    _action("escrows.approve", ADMINISTRATOR, "approve what somebody else asked about the whole keyring", "复核他人关于整个密钥环的申请", second=True),
    _action("metrics.see", (*OPERATIONS, *ADMINISTRATOR), "read the metrics", "读取监控指标"),
)  # fmt: skip

ACTIONS: Final[Mapping[str, Action]] = MappingProxyType({action.id: action for action in _TABLE})
"""Every action by its id."""


def allowed(action: str, roles: Collection[str], *, agency: str | None, of_agency: str | None = None) -> bool:
    """Whether somebody with these roles may do it.

    agency: whose the person is; None for the lender's own. of_agency: whose data it concerns; None where it concerns
    nobody's in particular. Raises KeyError for an action that is not in the table.
    """
    wanted = ACTIONS[action]
    if agency is not None:
        return AGENCY in wanted.roles and of_agency in {None, agency}
    return not wanted.roles.isdisjoint(set(roles) - {AGENCY})
