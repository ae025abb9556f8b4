"""What the codes that stand on a page are called in 中文; in English a code is a word already.

For the filter `term`: `{{ row.kind|term("file") }}`, `{{ row.channels|term("channel") }}`. A code that no table has (a
lender's own product, a policy's own purpose) is told as it is.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _table(**told: str) -> Mapping[str, str]:
    return MappingProxyType(told)


FILE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "placement": "委案",
        "update": "余额更新",
        "recall": "收回",
        "receipt": "回执",
        "statement": "结算单",
        "invoice_answer": "账单答复",
        "plan_answer": "分期答复",
        "erasure_request": "删除要求",
        "correction": "更正",
        "certification": "认证任务",
        "key_announcement": "密钥公告",
        "acknowledgement": "委案确认",
        "activity": "催收记录",
        "return": "退案",
        "remittance": "回款明细",
        "invoice": "佣金账单",
        "erasure_certificate": "删除证明",
        "correction_confirmation": "更正确认",
        "complaint": "投诉",
        "plan": "分期方案",
        "hold_request": "暂停催收申请",
        "recall_objection": "收回异议",
        "refusal": "拒收说明",
        "fingerprint": "指纹核对",
    }
)
"""Kinds of file (models.kinds)."""
CHANNEL: Final = _table(
    phone="电话", sms="短信", field="外访", online="线上", letter="信函", legal="法律途径", any="任意"
)
STAGE: Final = _table(reminder="提醒", phone="电催", field="外访", legal="法催", any="任意", new="新案")
REMITS: Final = _table(gross="全额汇缴", net="净额汇缴")
PURPOSE: Final = MappingProxyType({**FILE, "collection": "催收", "keys": "密钥公告"})
"""Those of the policies that come with Consign, and files by themselves; a lender's own are told as written."""
POLICY: Final = _table(exchange="文件交换")
"""What stands for a policy where a file needs none."""
VERIFIED: Final = _table(text="已核原文", secondary="二手资料", unverified="未核实")
JURISDICTION: Final = _table(CN="中国", US="美国", EU="欧盟", UK="英国", any="任意")
LEVEL: Final = _table(exchange="交换", work="作业", money="资金")
"""Of a certification."""
STEP: Final = _table(waiting="未开始", open="待办", done="完成", failed="未通过", passed="通过", given_up="已放弃")
"""How a certification and its steps stand."""
EVIDENCE: Final = _table(
    licence="营业执照",
    whitelist="公示名单",
    evaluation="年度评估",
    contract="合同",
    pre_expiry_evaluation="到期前评估",
    training="培训",
    insurance="保险",
)
"""Of due diligence."""
EVENT: Final = _table(
    line_accepted="回款入账",
    commission="佣金",
    commission_adjustment="佣金调整",
    reverse_charge="代扣代缴增值税",
    net_retention="净额留存",
    receipt="银行入账",
    cash="收款核销",
    agency_paid="支付机构",
    refund_paid="退款",
    clawback_receivable="应收佣金追回",
    write_off="差额核销",
    exchange="外币兑换",
)
"""Of the books (docs/reference/ledger.md)."""
RULE: Final = _table(
    reversal="冲正",
    batch="汇款流水号",
    exact="完全一致",
    near="容差内",
    pool="汇总池",
    subset="子集和",
    direct="直接还款",
    by_hand="人工",
)
"""By which a match was made (models.reconcile.outcome)."""
OWNER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "portfolio manager": "资产组合经理",
        "finance": "财务",
        "compliance": "合规",
        "operations": "运营",
        "consign": "系统",
    }
)
"""Who owns an exception until a person takes it."""
IDENTIFIER: Final = _table(
    resident_id="居民身份证号",
    phone="电话号码",
    card="银行卡号",
    email="电子邮箱",
    iban="国际银行账号",
    ssn="社会保障号",
    passport="护照号",
    document="证件号",
    name_of_debtor="债务人姓名",
    contact_name_of_debtor="债务人的联系人姓名",
    address_of_debtor="债务人地址",
    employer_of_debtor="债务人单位",
    email_of_debtor="债务人邮箱",
    id_number_of_debtor="债务人证件号",
    phone_of_debtor="债务人电话",
    phone_alt_of_debtor="债务人备用电话",
    contact_phone_of_debtor="债务人的联系人电话",
)
"""What the outgoing gate looks for (infra.allowances)."""
CERTAINTY: Final = _table(proved="确证", likely="很可能", suspected="疑似")
TYPE: Final = _table(
    string="文本", integer="整数", amount="金额", rate="比率", date="日期", datetime="时间", yearmonth="月份"
)
"""Of a column of a file."""
LAYOUT: Final = _table(
    package="交换包",
    delimited="分隔文本",
    fixed="定长文本",
    xlsx="XLSX",
    format="格式",
    encoding="编码",
    line_ending="换行",
    delimiter="分隔符",
    quote="引号",
    positions="位置",
    number_cells="数字单元格",
    amounts="金额写法",
    days="日期写法",
    months="月份写法",
    times="时间写法",
)
"""Layouts of plain files, and what is told of one."""
SOURCE: Final = _table(console="控制台", csv="CSV 文件", agency="机构文件")
"""Where a complaint was taken in; of a file its name."""
OWED: Final = _table(
    agency="机构",
    owes="待办",
    placements="委案数",
    asked="已要求",
    due_on="期限",
    recall="退回",
    erasure="删除",
    correction="更正",
    placement_id="委案",
    field="字段",
    state="状态",
    told="已告知",
    confirmed="已确认",
    confirmed_on="确认日",
    file="文件",
    file_state="文件状态",
    prepared="待发",
    sealed="已密封",
    delivered="已送达",
    acknowledged="已确认",
)
"""What agencies owe of a debtor's request: the headings, and what it is."""
SWITCH: Final = _table(on="开", off="关")
OBJECTION: Final = _table(
    payment_promised="债务人已承诺还款",
    payment_on_its_way="还款在途",
    plan_running="分期方案执行中",
    legal_action="法律程序进行中",
    debtor_asks="应债务人要求",
)
"""Why an agency would rather keep an account."""
DETAIL: Final = _table(
    placements="委案数",
    since="自",
    due="期限",
    due_at="期限",
    until="至",
    state="状态",
    attempts="尝试次数",
    reason="原因",
    count="数量",
    lines="行数",
    entries="条目数",
    codes="代码",
    code="代码",
    period="期间",
    days="天数",
    fingerprint="指纹",
    breaches="违规数",
    rules="规则",
    rule="规则",
    threshold="限值",
    total="合计",
    seq="事件编号",
    id="编号",
    file_id="文件编号",
    previous="上一份",
    sequence="序号",
    sha256="SHA-256",
    kind="类型",
    lender="出借人",
)
"""What the details of an exception are called."""
RESULT: Final = _table(
    accepted="接受",
    account_id="账户",
    accounts="账户数",
    added="已添加",
    agencies="机构数",
    agencies_stopped="停止分案的机构",
    agency="机构",
    already="已导入过",
    answers="答复",
    approved_by="批准人",
    as_of="截至",
    auc="AUC",
    backup="备份",
    balance_minor="余额合计（分）",
    bands_put_back="恢复的分组",
    bands_written="写入的分组",
    books="账簿",
    breaks="差异数",
    breaks_opened="新增差异",
    brier="Brier 分数",
    broken="未履约",
    busy="正在处理中",
    by_rule="按规则",
    certification="认证",
    changed="已变更",
    changes="变更",
    circles="关联组",
    classes="记录类别",
    code="代码",
    codes="代码",
    columns="列",
    compared_with="对比的方案",
    complaints_overdue="逾期投诉",
    confirmed="已确认",
    contacts="联系次数",
    content_sha256="内容 SHA-256",
    cost="试算",
    csv_path="CSV 文件",
    currency="币种",
    debtor_id="债务人",
    delivered="已送达",
    diligence_wanting="缺尽调材料",
    divided="已拆分",
    duplicates="重复",
    ece="校准误差",
    ended="已结束",
    ending="即将到期",
    erasures="删除要求",
    error="错误",
    evaluation="评估",
    evaluation_id="评估",
    events="事件数",
    exceptions_opened="新增异常",
    exceptions_resolved="已解决异常",
    facts="特征",
    files="文件数",
    files_delivered="已送达文件",
    files_presumed="推定送达文件",
    fingerprint="指纹",
    finished="完成的删除",
    first_bad_seq="首个错误事件",
    first_placed_on="最早委案日",
    folder="文件夹",
    form="格式",
    found="发现",
    fresh="新生成",
    fulfilled="已履约",
    gaps="缺号",
    gates_closed="关闭的闸口",
    gates_opened="重新打开的闸口",
    generation="密钥代次",
    head="末端",
    heads="末端数",
    heads_sent="已外发末端",
    held="因保留未删",
    hold_id="暂停",
    horizon_days="预测天数",
    identities="身份数",
    ignored="忽略",
    invoice_lines_waiting="待核账单行",
    journal_balanced="账簿平衡",
    judged="已评定",
    keys="密钥",
    kind="类型",
    known="已导入过",
    last_placed_on="最晚委案日",
    laws="规则数",
    left_out="未纳入",
    lender="出借人",
    lenders="出借人",
    lines="行数",
    lines_refused="拒绝行数",
    linked="已关联",
    looked_at="已检查的模型",
    made="新生成",
    made_by="提出人",
    marks="标记",
    matches="匹配数",
    matches_ambiguous="多候选匹配",
    matches_suggested="建议匹配",
    model_id="模型",
    models_warned="预警的模型",
    moved="变动",
    moves="调整数",
    name="名称",
    new="新增",
    not_judged="无法评定",
    notes="备注",
    notice_failed="通知失败",
    notices="通知数",
    observed_over_foretold="实际与预测之比",
    off="偏离",
    ok="通过",
    opened="新增",
    overdue="逾期",
    pending="未入账",
    period="期间",
    placements="委案数",
    plan="方案",
    plan_id="方案",
    plans="方案数",
    portfolio_id="资产组合",
    presumed="推定送达",
    proposal_id="收回提议",
    reason="原因",
    recall_proposals="收回提议数",
    recalled="已收回",
    recalls="收回数",
    receipts="银行入账数",
    receipts_of_agencies="机构汇款入账",
    refusals="拒绝原因",
    refused="拒绝",
    rejects_path="拒绝行文件",
    requests="请求数",
    resolved="已解决",
    reviews="复核",
    root="根",
    rows="行数",
    rows_read="读入行数",
    rows_sent="发送行数",
    run_id="批次",
    runs="批次数",
    same="未变",
    scorecards_dir="记分卡文件夹",
    sealed="已密封",
    serious="严重",
    sha256="SHA-256",
    shares="份额",
    shown="出示的密钥",
    since="自",
    size="字节数",
    state="状态",
    statements="结算单数",
    strategy_run_id="策略批次",
    switched="已启用",
    unchanged="未变",
    unlinked="未关联",
    unresolved="未解决",
    until="至",
    updated="更新",
    waiting="待处理",
    warnings="提示",
    warns="预警",
    what_if="试算",
    withdrawn="已撤回",
)
"""What came of a job: counters and names of its report."""
GROUPS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "file": FILE, "channel": CHANNEL, "stage": STAGE, "remits": REMITS, "purpose": PURPOSE, "policy": POLICY,
        "verified": VERIFIED,
        "jurisdiction": JURISDICTION, "level": LEVEL, "evidence": EVIDENCE, "event": EVENT,
        "rule": RULE, "owner": OWNER, "step": STEP,
        "identifier": IDENTIFIER, "certainty": CERTAINTY, "type": TYPE, "layout": LAYOUT, "source": SOURCE,
        "owed": OWED, "switch": SWITCH, "objection": OBJECTION, "detail": DETAIL, "result": RESULT,
    }
)  # fmt: skip


def term(language: str, codes: str | Iterable[str] | None, group: str) -> str:
    """The codes as a page has them, several with commas between; a dash for none.

    codes: one, several with commas between, or a list. group: a name of GROUPS.
    """
    known = GROUPS[group]
    every = (codes.split(",") if isinstance(codes, str) else list(codes)) if codes else []
    told = [one.strip() for one in every]
    if language == "en":
        return ", ".join(one.replace("_", " ") for one in told) or "–"
    return "、".join(known.get(one, one) for one in told) or "–"
