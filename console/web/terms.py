"""What the codes of finance are called on a page: (English, 中文), for the filter `pair`; and the colour of each.

A whole sentence in English is the model's own; here it gets its 中文.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from models.closing import FINDINGS
from models.reconcile.breaks import ABOUT
from models.reconcile.outcome import REASONS
from models.reconcile.sides import CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping

Words = tuple[str, str]

CODES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "no_receipt": ("Not in ledger", "账务缺失", "bad"),
        "no_line": ("Not in file", "文件缺失", "bad"),
        "amount_diff": ("Amount", "金额不符", "warn"),
        "fee_netted": ("Fee taken off", "扣除费用", "warn"),
        "wrong_currency": ("Currency", "币种", "info"),
        "unknown_account": ("Unknown account", "未知账户", "bad"),
        "wrong_agency": ("Other agency", "他机构", "bad"),
        "after_recall": ("After recall", "收回后付款", "warn"),
        "before_placement": ("Before placement", "委案前付款", "warn"),
        "duplicate_in_file": ("Twice in file", "文件内重复", "info"),
        "duplicate_across_files": ("Came before", "跨文件重复", "info"),
        "overpayment": ("Overpaid", "多付", "warn"),
        "direct_payment_claim": ("Direct payment", "直接还款", "warn"),
        "commission_diff": ("Commission", "佣金", "warn"),
        "vat_diff": ("VAT", "增值税", "warn"),
        "reversal_without_original": ("Reversal", "冲正无原单", "bad"),
        "late_remittance": ("Late", "迟到", "plain"),
        "ambiguous": ("Several fit", "多个候选", "info"),
    }
)
"""Breaks: a short name and its colour."""

_ABOUT_ZH: Final = {
    "no_receipt": "机构报告了回款，但约定日期前款项未到账",
    "no_line": "款项已到账，但没有回款明细与之对应",
    "amount_diff": "流水号和日期一致，金额不一致",
    "fee_netted": "净额不等于总额减去合同允许扣留的部分",
    "wrong_currency": "明细的币种与委案不同",
    "unknown_account": "假名不是我方的，或该账户从未委出",
    "wrong_agency": "该账户委托给了另一家机构",
    "after_recall": "委案结束且合同尾期过后才付款",
    "before_placement": "在委托给该机构之前付款",
    "duplicate_in_file": "同一文件中相同内容出现两次",
    "duplicate_across_files": "相同内容在先前文件中已出现",
    "overpayment": "回款超过委案余额",
    "direct_payment_claim": "机构就直接付给贷款人的款项索取佣金",
    "commission_diff": "索取或扣留的佣金与合同不符",
    "vat_diff": "佣金的增值税与合同不符",
    "reversal_without_original": "冲正没有对应的原单，或超过原单金额",
    "late_remittance": "款项晚于约定日期到账",
    "ambiguous": "多个候选同样合适，规则不作猜测",
}
MEANS: Final[Mapping[str, Words]] = MappingProxyType({code: (en, _ABOUT_ZH[code]) for code, en in ABOUT.items()})
"""Breaks: what each code means."""

_CHECKS_ZH: Final = {
    "account_known": "假名一致",
    "placed_with_agency": "账户委托给了该机构",
    "within_placement": "在委案期内或合同尾期内付款",
    "currency_agrees": "币种一致",
    "is_new": "没有其他明细内容相同",
    "original_known": "找得到被冲正的回款",
    "agency_known": "付款机构已知",
    "reference_agrees": "流水号一致",
    "amount_agrees": "金额在容差内",
    "days_agree": "起息日足够接近",
    "only_one": "只有一个候选最合适",
    "rules_may": "未被人工拆开，规则可以匹配",
    "looked_at": "双方到齐后规则已运行",
    "commission_agrees": "佣金与合同一致",
    "vat_agrees": "增值税与合同一致",
    "net_agrees": "净额等于总额减去允许扣留的部分",
    "balance_agrees": "回款没有超过委案余额",
    "claim_entitled": "合同对此给予佣金",
}
CHECKED: Final[Mapping[str, Words]] = MappingProxyType({name: (en, _CHECKS_ZH[name]) for name, en in CHECKS.items()})
"""Checks of the drawer: what each asks."""

_REASONS_ZH: Final = {
    "no_receipt_names_it": "没有未匹配的收款提到该交易或该汇款",
    "names_nothing": "明细既无交易流水号也无汇款流水号",
    "amount_differs": "流水号一致，金额不一致",
    "outside_window": "流水号一致，日期相差太远",
    "taken": "有此流水号的款项已与更合适的对象匹配",
    "several_equal": "不同账户上有多个同样合适的候选，规则不作猜测",
    "suggested": "已建议匹配，等待人工确认",
    "part": "只匹配了一部分",
    "no_reference": "银行未给流水号，也没有某日合计或唯一的明细组合与之相符",
    "unknown_reference": "没有未结明细有此流水号，也没有某日合计或唯一的明细组合与之相符",
    "several_sums": "有多个明细组合等于该金额，规则不作猜测",
    "paid_already": "有此流水号的明细已经付清",
    "agency_unknown": "无法得知由哪家机构支付",
}
WHY: Final[Mapping[str, Words]] = MappingProxyType(
    {code: (text, _REASONS_ZH[code]) for code, text in REASONS.items()}
    | {"not_looked_at": ("it came after the rules last ran", "在规则上次运行之后才到")}
)
"""Why the rules left a line or a receipt open."""

LINES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "awaiting_cash": ("Awaiting money", "待到账", "warn"),
        "part_matched": ("Part matched", "部分匹配", "warn"),
        "matched": ("Matched", "已匹配", "good"),
        "in_break": ("In break", "差异中", "bad"),
        "duplicate": ("Duplicate", "重复", "info"),
        "reversed": ("Reversed", "已冲正", "plain"),
        "written_off": ("Written off", "已核销", "plain"),
        "rejected": ("Rejected", "已拒绝", "plain"),
    }
)
"""Remittance lines: states."""

STATES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "waiting": ("Waiting", "待复核", "warn"),
        "done": ("Done", "已完成", "good"),
        "refused": ("Refused", "已否决", "bad"),
        "withdrawn": ("Withdrawn", "已撤回", "plain"),
        "stale": ("Overtaken", "已过时", "plain"),
        "undone": ("Undone", "已撤销", "plain"),
        "proposed": ("To approve", "待复核", "warn"),
        "approved": ("Approved", "已批准", "info"),
        "exported": ("With the bank", "已交银行", "good"),
        "sent": ("Sent", "已发出", "info"),
        "paid": ("Paid", "已付款", "good"),
        "returned": ("Returned", "已退回", "bad"),
        "suggested": ("Suggested", "建议匹配", "info"),
        "ambiguous": ("Several fit", "多个候选", "warn"),
        "closed": ("Closed", "已结账", "good"),
        "open": ("Open", "未结账", "warn"),
    }
)
"""Resolutions, payment runs, payments, suggestions, months."""

ACTS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "match": ("Match", "匹配"),
        "unmatch": ("Take apart", "拆开匹配"),
        "write_off": ("Write off", "核销"),
        "count": ("Let it count", "计入账簿"),
        "reject": ("Reject the line", "拒绝明细"),
        "not_ours": ("Not ours", "与机构无关"),
        "settle": ("Accept as it is", "接受差异"),
        "refund": ("Paid back", "已退还"),
        "undo": ("Undo", "撤销"),
    }
)
"""What may be done about a break, as a button says it."""

ENDED: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "tied by a later match": ("tied by a later match", "由后来的匹配结清"),
        "tied by a person": ("tied by a person", "由人工匹配"),
        "its money came": ("its money came", "款项已到账"),
        "its original came": ("its original came", "原单已到"),
        "it has another name now": ("it has another name now", "已改列其他差异"),
        "a reversal took the excess back": ("a reversal took the excess back", "冲正已收回多付部分"),
        "written off": ("written off", "已核销"),
        "a person let the line count": ("a person let the line count", "人工计入账簿"),
        "a person rejected the line": ("a person rejected the line", "人工拒绝明细"),
        "not of any agency": ("not of any agency", "与机构无关"),
        "paid back to the debtor": ("paid back to the debtor", "已退还债务人"),
    }
)
"""Why a break was closed; one that was accepted says so with its reason."""

_FINDINGS_ZH: Final = {
    "month_not_over": "该月尚未结束",
    "earlier_month_open": "之前的月份有分录且未结账",
    "entries_crooked": "分录合计不为零或未封存",
    "bank_differs": "银行账户科目的变动与银行对账单不符",
    "not_stated": "机构尚无该月结算单",
    "statement_files": "结算单文件缺失或与当时不符",
    "bank_gap": "该月有日期没有银行对账单，或余额不连续",
    "breaks_overdue": "差异未处理时间超过结账允许的天数",
    "unapplied": "该月有款项未匹配",
    "invoices_waiting": "机构发票有明细尚未答复",
    "breaks_open": "有未处理差异，但未逾期",
}
_MENDED: Final = {
    "month_not_over": ("wait until it is", "等到月末"),
    "earlier_month_open": ("close them first", "先结之前的月份"),
    "entries_crooked": ("report it: a fault of ours", "请报告：这是系统错误"),
    "bank_differs": ("report it: it is a fault of ours", "请报告：这是系统的错误"),
    "not_stated": ("state the month", "生成该月结算单"),
    "statement_files": ("state the month again: its files are made anew", "重新生成该月结算单"),
    "bank_gap": ("take the missing statement in", "导入缺少的对账单"),
    "breaks_overdue": ("settle them", "处理这些差异"),
    "unapplied": ("ask who paid", "查明付款方"),
    "invoices_waiting": ("run the matching: it answers them", "运行匹配即会答复"),
    "breaks_open": ("they go on into the next month", "转入下月"),
}
"""What to do about each, at the console; the command line has its commands."""
FOUND: Final[Mapping[str, tuple[Words, Words]]] = MappingProxyType(
    {
        name: ((kind.about.replace("`close_break_days`", "may be at a close"), _FINDINGS_ZH[name]), _MENDED[name])
        for name, kind in FINDINGS.items()
    }
)
"""Findings of a month's checklist: what each means, and what to do."""
