"""What each code of a receipt means, with an example, in English and 中文; the fix in English is in CODES.

`consign file explain`, the agency guide and its Chinese half are made from this table. Examples are made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from models.checking import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

Scope = Literal["file", "line", "note"]
REFUSES: Mapping[Scope, tuple[str, str]] = MappingProxyType(
    {
        "file": ("the whole file", "整个文件"),
        "line": ("the line", "该行"),
        "note": ("nothing: it is a note", "不拒收，仅提示"),
    }
)


@dataclass(frozen=True)
class Explained:
    """One code, for a person at an agency."""

    scope: Scope
    meaning: str
    example: str
    meaning_zh: str
    fix_zh: str


def explained(code: str, *, zh: bool = False) -> dict[str, str]:
    """What a person reads of a code: what it refuses, what it means, an example, the fix. Raises KeyError for none."""
    one = EXPLAINED[code]
    if zh:
        return {
            "refuses": REFUSES[one.scope][1], "meaning": one.meaning_zh, "example": one.example, "fix": one.fix_zh,
        }  # fmt: skip
    fix = CODES.get(code, NOTES.get(code, ""))
    return {"refuses": REFUSES[one.scope][0], "meaning": one.meaning, "example": one.example, "fix": fix}


def _file(meaning: str, example: str, meaning_zh: str, fix_zh: str) -> Explained:
    return Explained("file", meaning, example, meaning_zh, fix_zh)


def _line(meaning: str, example: str, meaning_zh: str, fix_zh: str) -> Explained:
    return Explained("line", meaning, example, meaning_zh, fix_zh)


def _note(meaning: str, example: str, meaning_zh: str, fix_zh: str) -> Explained:
    return Explained("note", meaning, example, meaning_zh, fix_zh)


NOTES: Mapping[str, str] = MappingProxyType(
    {
        "sequence_gap": "Send the file with the missing number, or tell the lender that there is none.",
        "sequence_late": "Nothing. Send files in the order of their numbers next time.",
        "chain_broken": "Find out which file came between, and tell the lender.",
        "chain_unchecked": "Nothing, once the file before it has come.",
    }
)
"""What a receipt notices of a file that was taken all the same, and what to do."""

_HEADER: Mapping[str, Explained] = {
    "missing_column": _file(
        "A column that must be there is not in the header, or is spelled otherwise.",
        "header `acct,status` where `account` is asked for",
        "表头缺少必需的列，或列名拼写不同。",
        "在表头补上该列，列名与约定完全一致。",
    ),
    "unknown_column": _file(
        "The header has a column that nobody asked for; it is named by its place, for it may be no name at all.",
        "a column `remark`, told as `#7`",
        "表头有约定之外的列；回执只写第几列，因为它可能根本不是列名。",
        "删除该列：未要求的内容不予保存。",
    ),
    "repeated_column": _file(
        "Two columns have the same name, so that nobody knows which one counts.",
        "`account,account,status`",
        "两列同名，无法判断以哪一列为准。",
        "只保留一列。",
    ),
}
_CELLS: Mapping[str, Explained] = {
    "missing": _line(
        "The cell is empty, and a value must be there.",
        "no `value_date` on a remittance line",
        "必填项为空。",
        "填写该值。",
    ),
    "not_integer": _line(
        "It is no whole number.", "`3.0` or `three` as an instalment's number", "不是整数。", "只写数字，写成整数。"
    ),
    "not_amount": _line(
        "It is no amount in the agreed form, or has more decimals than the currency.",
        "`¥1,234.5` or `12.345` in CNY, where `1234.50` is agreed",
        "不是约定格式的金额，或小数位数超过币种规定。",
        "按约定格式写金额：不带货币符号，小数位数与币种一致。",
    ),
    "not_rate": _line(
        "It is no rate between 0 and 1.",
        "`18%` instead of `0.18`",
        "不是 0 到 1 之间的比率。",
        "写成小数：18% 写 0.18。",
    ),
    "not_date": _line(
        "It is no day in the agreed form, or a day that does not exist.",
        "`2026-02-30`; `03/01/2026` or `46025` where `2026-01-03` is agreed",
        "不是约定格式的日期，或该日期不存在。",
        "按约定格式写真实存在的日期。",
    ),
    "not_datetime": _line(
        "It is no instant in the agreed form: no time, no offset from UTC, or no clock ever showed it.",
        "`2026-01-03 09:30` without its offset",
        "不是约定格式的时间：缺少时分秒或时区，或该时刻不存在。",
        "按约定格式写时间，例如 2026-03-01T09:30:00+08:00。",
    ),
    "not_yearmonth": _line(
        "It is no month in the agreed form.",
        "`Jan 2026` or `2026-13`",
        "不是约定格式的月份。",
        "按约定格式写月份，例如 2026-01。",
    ),
    "not_currency": _line(
        "It is no ISO 4217 code.",
        "`RMB` or `元` instead of `CNY`",
        "不是 ISO 4217 币种代码。",
        "写三位字母代码，例如 CNY。",
    ),
    "not_one_of": _line(
        "The value is none of those that are agreed for this column.",
        "`paid off` where `paid` is agreed; `12` in a code list that ends at `10`",
        "该值不在约定的取值范围内。",
        "使用约定代码表中的值。",
    ),
    "too_long": _line(
        "The text is longer than any value of ours needs to be.",
        "a whole letter in `reason`",
        "文本过长。",
        "缩短到 2000 字以内。",
    ),
    "control_character": _line(
        "The text holds a character that is not printed: a tab, a line's end, a NUL.",
        "a line's end inside `method`",
        "文本含有控制字符（制表符、换行等）。",
        "删除控制字符。",
    ),
    "bidi_override": _line(
        "The text holds a character that turns the direction of writing, so that it is shown otherwise than it is.",
        "U+202E in `reason`",
        "文本含有改变书写方向的字符，显示内容与实际不同。",
        "删除此类字符。",
    ),
    "spreadsheet_number": _line(
        "A spreadsheet took an id for a number: digits behind the fifteenth, or zeros in front, are gone for good.",
        "`1.23457E+17`; 18 digits of which the last three became 000; a number cell in a column of text",
        "电子表格把编号当成了数字：第 15 位之后的数字或前导零已丢失，无法恢复。",
        "从原系统重新导出，把该列设为“文本”格式。",
    ),
    "spreadsheet_error": _line(
        "The cell of the workbook holds an error, or true or false.",
        "`#N/A`, `#REF!`, `TRUE`",
        "单元格为错误值或逻辑值。",
        "改为实际的值。",
    ),
}
_BUSINESS: Mapping[str, Explained] = {
    "repeated": _line(
        "What may stand in the file once stands there again.",
        "two acknowledgement lines for one account",
        "同一账户（或编号）在文件中重复。",
        "每个账户只报一行。",
    ),
    "unknown_account": _line(
        "The account's pseudonym is none that we gave you, or it was copied wrongly.",
        "a pseudonym with a letter missing, or another agency's",
        "委外编号不是我方给贵司的编号，或抄录有误。",
        "从委外名单原样复制。",
    ),
    "not_placed": _line(
        "The account is ours, and you do not hold it: it was recalled and returned, or never placed with you.",
        "a contact reported a month after the return",
        "该账户目前未委托贵司：已退案，或从未委托。",
        "与委外名单和退案通知核对。",
    ),
    "not_recalled": _line(
        "A certificate of erasure for an account that nobody asked to erase.",
        "a certificate before the request",
        "我方未要求删除该账户的信息。",
        "与收到的删除通知核对。",
    ),
    "no_correction": _line(
        "A correction is confirmed that we did not tell you, or that you confirmed before.",
        "a confirmation of `email` where we corrected `phone`",
        "我方未要求更正该账户的该字段，或贵司已确认过。",
        "与收到的更正通知核对。",
    ),
    "wrong_currency": _line(
        "The line is in another currency than the account.",
        "`USD` for an account in CNY",
        "币种与账户不符。",
        "按账户的币种报送。",
    ),
    "no_recall": _line(
        "An objection to a recall that does not run: there was none, or it is confirmed already.",
        "an objection after the return",
        "没有可提异议的退案：未发起，或已确认。",
        "无需提交异议。",
    ),
    "plan_known": _line(
        "An instalment plan of this name was proposed before.",
        "`P-7` again, with other amounts",
        "该分期方案编号已用过。",
        "修改后的方案请用新编号。",
    ),
    "plan_broken": _line(
        "Another line of the same plan was refused, and a plan stands or falls as a whole.",
        "three instalments of which the second has no day",
        "同一方案的其他行被拒收，方案须整体有效。",
        "改正后把整个方案重新报送，编号不变。",
    ),
    "plan_disordered": _line(
        "Instalments are not numbered 1, 2, 3 …, or one is not due after the one before.",
        "instalments 1 and 3",
        "期次不连续，或应还日期未递增。",
        "期次从 1 连续编号，日期逐期递增。",
    ),
    "not_above_zero": _line("An instalment of nothing, or less.", "`0.00`", "应还金额须大于零。", "改正金额。"),
    "out_of_order": _line(
        "The last day lies before the first.",
        "since 2026-03-01, until 2026-02-01",
        "结束日期早于开始日期。",
        "改正日期。",
    ),
    "unknown_file": _line(
        "Your refusal names a file that we did not send you.",
        "a name with `.zip` cut off",
        "所拒文件不是我方发送的。",
        "按服务器上的文件名原样填写。",
    ),
    "other_key": _line(
        "The fingerprint that you read is of another key than ours or yours. Somebody may sit between us.",
        "a fingerprint copied from an e-mail that was forged",
        "贵司读到的指纹与实际密钥不符，可能有人冒充。",
        "立即停止交换，用合同上的电话核实。",
    ),
    "net_does_not_add_up": _line(
        "Net is not gross less commission less VAT.",
        "gross 100.00, commission 18.00, VAT 1.08, net 82.00",
        "净额不等于还款金额减佣金减增值税。",
        "核对四项金额。",
    ),
    "sign": _line(
        "A recovery at or below zero, or a reversal at or above.",
        "a reversal of `50.00` instead of `-50.00`",
        "还款须为正数，冲正须为负数。",
        "改正正负号。",
    ),
    "future": _line(
        "The day lies after the day on which the file came.",
        "a payment of tomorrow",
        "日期晚于文件到达日。",
        "改正日期。",
    ),
}
_LINES: Mapping[str, Explained] = {
    "ragged_line": _line(
        "The line has more or fewer cells than the header.",
        "a comma inside an address without quotation marks",
        "该行的列数与表头不同。",
        "含分隔符的内容用引号括起来；约定无引号时，删去内容中的分隔符。",
    ),
    "bad_quote": _line(
        "A quotation mark is left open, or stands in the middle of a cell.",
        '`5" pipe` without doubling the mark',
        "引号未闭合，或位于内容中间。",
        "用引号括起整个内容，内容中的引号写两遍。",
    ),
    "nul": _line(
        "The line holds a NUL byte, which no text has.",
        "a file saved as UTF-16",
        "该行含有空字节（NUL）。",
        "重新生成文件；可能已损坏，或存成了 UTF-16。",
    ),
    "line_too_long": _line(
        "The line is longer than a mebibyte, which no record of ours is.",
        "a quotation mark that is never closed",
        "该行超过 1 MiB。",
        "检查前面是否有未闭合的引号，或拆分该行。",
    ),
    "record_length": _line(
        "A record of fixed width is longer or shorter than agreed.",
        "blanks at its end cut off by an editor; a Chinese character counted as one byte",
        "定长记录的长度与约定不符。",
        "按约定补足；按字节计时，一个汉字占两个字节（GB18030 生僻字占四个）。",
    ),
    "cut_character": _line(
        "A value of fixed width ends in the middle of a character.",
        "a name of 31 bytes in a place of 30",
        "定长字段的末尾截断了一个字符。",
        "缩短内容，不足部分用填充符补齐。",
    ),
}
_ENVELOPE: Mapping[str, Explained] = {
    "bad_name": _file(
        "The file's name is not of the agreed form.", "`remittance march.zip.age`", "文件名不符合约定。",
        "按约定命名，包括密封后缀 .age 或 .pgp。",
    ),
    "wrong_agency": _file(
        "The name or the manifest is another agency's.", "a file copied into the wrong folder",
        "文件名或清单属于其他机构。", "检查机构代码。",
    ),
    "wrong_kind": _file(
        "Agencies do not send files of this kind; the lender does.", "a `placement` from an agency",
        "机构不报送此类文件。", "检查文件种类。",
    ),
    "unknown_lender": _file(
        "We have no lender of this code.", "`habour` instead of `harbour`", "没有该委托方代码。", "检查委托方代码。"
    ),
    "bad_signature": _file(
        "The signature is not of these bytes.", "the file was sealed again after it was signed",
        "签名与文件不符。", "对实际发送的文件签名。",
    ),
    "wrong_signer": _file(
        "Signed by a key that was never compared with us, or withdrawn.", "a new key used before it was registered",
        "签名密钥未在我方登记。", "先登记密钥并核对指纹。",
    ),
    "not_for_us": _file(
        "Encrypted to another key than our present one.", "our key of last year", "未用我方现行公钥加密。",
        "取得我方现行公钥后重新加密。",
    ),
    "truncated": _file(
        "The end of the file is missing.", "a transfer that broke off", "文件不完整。", "重新完整发送。"
    ),
    "tampered": _file(
        "The sealed file was changed: damaged on the way, or by somebody.", "transferred in text mode",
        "密封后文件被改动。", "重新发送；传输时用二进制模式。",
    ),
    "key_expired": _file("The key has expired.", "a signing key of last year", "密钥已过期。", "交换新密钥。"),
    "key_revoked": _file("The key was revoked.", "a key reported as lost", "密钥已吊销。", "交换新密钥。"),
    "unknown_key": _file(
        "We hold no key of yours for this way of sealing.", "a `.pgp` file from an agency of `age`",
        "我方没有贵司该密封方式的密钥。", "先交换密钥。",
    ),
    "not_a_package": _file(
        "Inside the seal is no ZIP of datapackage.json and one table, or one that can be read in two ways.",
        "a CSV sealed without packing it; a ZIP with a folder in it",
        "密封文件内不是约定的数据包。", "用 datapackage.json 和一个数据表打成 ZIP；或约定使用平面文件格式。",
    ),
    "manifest": _file(
        "datapackage.json lacks something, or says other things than the file or its name.",
        "sequence 8 in a file named …000007", "清单缺项，或与文件、文件名不符。", "核对 datapackage.json。",
    ),
    "hash": _file(
        "The table is not the one that the manifest was made for.", "a line mended after packing",
        "数据表的 SHA-256 与清单不符。", "修改后重新打包。",
    ),
    "rows": _file(
        "The manifest or the trailer states another number of lines than there are.", "12 stated, 11 there",
        "清单或尾记录的行数与实际不符。", "核对行数；可能有行丢失。",
    ),
    "control_sum": _file(
        "The manifest or the trailer states another sum than the lines have.", "1,000.00 stated, 900.00 there",
        "清单或尾记录的合计金额与明细不符。", "核对合计；按币种分别合计。",
    ),
    "sequence_repeat": _file(
        "A file of this kind with this number was taken before.", "number 7 twice", "该序号的文件已接收过。",
        "每个文件一个序号，连续不重复。",
    ),
    "replayed": _file(
        "The very same content came before under another name or seal.", "last week's file sealed again",
        "相同内容的文件已接收过。", "发送新内容；不要重复发送。",
    ),
    "encoding": _file(
        "The text is not in the agreed encoding; of single lines only these are refused.",
        "GB18030 where UTF-8 is agreed", "文本编码与约定不符。", "按约定编码保存（未约定时为 UTF-8）。",
    ),
    "malformed_csv": _file(
        "No header can be read, or so many lines cannot that nobody would mend them one by one.",
        "an empty file; a web page", "没有可读的表头，或无法读取的行太多。", "重新导出文件。",
    ),
    "wrong_format": _file(
        "The content is of another kind than agreed, whatever its name says.",
        "an .xls renamed to .xlsx; a workbook where text is agreed", "文件内容不是约定的格式。",
        "按约定格式保存；旧 .xls 或加密的工作簿另存为不加密的 .xlsx。",
    ),
    "missing_sheet": _file(
        "The workbook has no sheet of the agreed name.", "`Sheet1`, not `还款明细`", "工作簿中没有约定的工作表。",
        "按约定命名工作表。",
    ),
    "header_record": _file(
        "The first record is missing, or does not say what the file's name says.",
        "another day in the header record than in the name", "首记录缺失，或与文件名不符。", "核对首记录。",
    ),
    "trailer_record": _file(
        "The last record is missing, or does not say what the file's name says: the file may be cut off.",
        "a file that ends with a payment", "尾记录缺失，或与文件名不符，文件可能被截断。", "核对尾记录后完整发送。",
    ),
    "too_large": _file(
        "The file is larger than allowed, or unpacks to more.", "a ZIP of zeros", "文件（或解压后）超过允许的大小。",
        "拆分文件。",
    ),
    "too_many_refused": _file(
        "More than a million cells of the file would be refused.", "dates in another form on every line",
        "文件中超过一百万个单元格会被拒收。", "先改正普遍存在的错误，再重新发送。",
    ),
    "not_as_declared": _file(
        "The .done beside the file declares another size or hash.", "a .done uploaded before the file",
        "文件与其 .done 声明不符。", "重新发送文件，最后发送 .done。",
    ),
    "not_a_file": _file(
        "There is a link, a folder or a device under the name.", "a symbolic link to another folder",
        "这是链接、文件夹或设备，不是文件。", "删除它，发送普通文件。",
    ),
}  # fmt: skip
_SEQUENCE: Mapping[str, Explained] = {
    "sequence_gap": _note(
        "A number before this one has not come; the lender looks into it.", "7 after 5", "前面的序号缺失，我方会跟进。",
        "补发缺失序号的文件，或告知该序号不存在。",
    ),
    "sequence_late": _note(
        "The file fills a gap: later ones came before it.", "6 after 7", "补上了缺失的序号。", "无需处理。"
    ),
    "chain_broken": _note(
        "The file names another file before it than the one that came.", "a file that was replaced",
        "文件所指的前一文件与我方收到的不同。", "查明中间的文件并告知我方。",
    ),
    "chain_unchecked": _note(
        "The file before it has not come, so that the chain cannot be checked.", "7 after 5",
        "前一文件未到，无法核对。", "前一文件到达后即可。",
    ),
}  # fmt: skip

EXPLAINED: Mapping[str, Explained] = MappingProxyType(
    {**_HEADER, **_CELLS, **_BUSINESS, **_LINES, **_ENVELOPE, **_SEQUENCE}
)
"""Every code of CODES, and the notes of a receipt."""
