"""How decisions are put to those concerned: the enterprise of what became of its case, the unit of what others decided."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflows.case import Case
from workflows.text import Text


@dataclass(frozen=True, slots=True)
class Result:
    """How a decision is put: the beginning of the subject, what was decided, what to do next."""

    tag: Text
    headline: Text
    next: Text
    with_findings: bool = False
    is_applied_for: bool = True  # the grade that is named is not reached


_AWAIT = Text("等待省级复核或公示", "await the province's check or the publication")
_CLOSED = Text("本年度不再受理，可在下一年度行动中申请", "nothing more this year: apply in the next year's programme")
_AGAIN = Text("逐条整改并答复，由填报单位再次报送", "put right and answer each finding; your unit submits you again")
_ASK_UNIT = Text("向填报单位了解情况", "ask your unit about it")

_NOT_PASSED, _REFUSED = "spot_check, not passed", "lapse, refused"

# By the kind of event (`told_as`); all others are the unit's to explain.
TO_ENTERPRISE: Mapping[str, Result] = {
    "accept": Result(
        Text("【通过验收】", "[Accepted]"), Text("贵单位已通过验收。", "Your site has passed its acceptance."), _AWAIT,
        is_applied_for=False,
    ),
    "fail_acceptance": Result(
        Text("【验收未通过】", "[Acceptance not passed]"),
        Text("贵单位未通过本次验收，问题如下。", "Your site has not passed this acceptance; the findings are below."),
        Text("逐条整改，由填报单位再次验收", "put right each finding; your unit reviews you again"), with_findings=True,
    ),
    "fast_track": Result(
        Text("【快速通道】", "[Fast track]"),
        Text("贵单位经快速通道列入验收名单，须经省级复核。", "Your site was put forward by the fast track; the province checks it."),
        Text("等待省级复核", "await the province's check"),
    ),
    "reject": Result(
        Text("【未通过】", "[Not passed]"),
        Text("贵单位未通过省级复核，问题如下。", "Your site has not passed the province's check; the findings are below."),
        _AGAIN, with_findings=True,
    ),
    "order_rectification": Result(
        Text("【责令整改】", "[To be put right]"),
        Text(
            "省级复核要求贵单位整改，问题如下；完成后须重新验收并复审。",
            "The province's check found what has to be put right, below; then you are accepted and checked anew.",
        ),
        Text("完成责令整改的措施", "finish what was ordered"), with_findings=True,
    ),
    "uphold_objection": Result(
        Text("【未通过】", "[Not passed]"),
        Text(
            "对贵单位的公示异议经核查属实，贵单位未通过，问题如下。",
            "An objection of the public was found to be right, and your site has not passed; the findings are below.",
        ),
        _AGAIN, with_findings=True,
    ),
    "recognise": Result(
        Text("【等级认定】", "[Recognised]"),
        Text("贵单位的绩效等级已获认定。", "The grade of your site is recognised."),
        Text("保持绩效水平，接受监督", "keep the level that was recognised"), is_applied_for=False,
    ),
    "spot_check": Result(
        Text("【通过复核】", "[Check passed]"),
        Text("贵单位已通过省级复核。", "Your site has passed the province's check."),
        Text("等待公示", "await the publication"), is_applied_for=False,
    ),
    _NOT_PASSED: Result(
        Text("【复核发现问题】", "[Findings of the check]"),
        Text(
            "省级复核发现下列问题，随后作出决定（责令整改或不予通过）。",
            "The province's check found what stands below; what follows (to be put right, or not passed) is decided next.",
        ),
        Text("先行整改，等待省级决定", "begin to put it right and await the province's decision"), with_findings=True,
    ),
    "withdraw": Result(
        Text("【退出】", "[Withdrawn]"),
        Text(
            "贵单位已退出本年度培育清单，此前告知的决定不再有效。",
            "Your site has left this year's list; what you were told of its case holds no longer.",
        ),
        _ASK_UNIT,
    ),
    "lapse": Result(
        Text("【未获认定】", "[Lapsed]"),
        Text("贵单位本年度未获认定，本次培育已结束。", "Your site was not recognised this year; its case is closed."),
        _CLOSED, with_findings=True,
    ),
    _REFUSED: Result(
        Text("【未获认定】", "[Lapsed]"),
        Text(
            "贵单位未通过省级复核，理由和问题如下；再次认定报送期限已过，本次培育已结束。",
            "Your site has not passed the province's check, for what stands below; the day of re-submission is over and its case closed.",
        ),
        _CLOSED, with_findings=True,
    ),
    "disqualify": Result(
        Text("【取消资格】", "[Disqualified]"),
        Text("贵单位已被取消资格。", "Your site has lost its eligibility."), _ASK_UNIT,
    ),
    "correct": Result(
        Text("【更正】", "[Corrected]"),
        Text("此前发给贵单位的下列决定系误录，已更正，以本通知为准。", "This decision, of which you were told, was entered by mistake and is corrected."),
        _ASK_UNIT,
    ),
}  # fmt: skip
# What the province decides of a unit's case, and what came of itself.
TO_UNIT: Mapping[str, Result] = {
    "return_plan": Result(
        Text("【退回补正】", "[Sent back]"),
        Text("下列企业的提升方案已被退回。", "The plan of this enterprise was sent back."),
        Text("补正后重新报送方案", "correct the plan and file it again"),
    ),
    "reject": Result(
        Text("【未通过】", "[Not passed]"),
        Text("下列企业未通过省级复核，问题如下。", "This enterprise has not passed the province's check; the findings are below."),
        _AGAIN, with_findings=True,
    ),
    "uphold_objection": Result(
        Text("【未通过】", "[Not passed]"),
        Text(
            "对下列企业的公示异议经核查属实，认定未通过，问题如下。",
            "An objection to this enterprise was found to be right: it has not passed; the findings are below.",
        ),
        _AGAIN, with_findings=True,
    ),
    "order_rectification": Result(
        Text("【责令整改】", "[To be put right]"),
        Text("下列企业被责令整改，完成后须重新验收并复审。", "This enterprise has to put things right, to be accepted and checked anew."),
        Text("完成责令整改的措施并重新验收", "finish what was ordered and accept the case again"), with_findings=True,
    ),
    "disqualify": Result(
        Text("【取消资格】", "[Disqualified]"),
        Text("下列企业已被取消资格。", "This enterprise has lost its eligibility."),
        Text("告知企业并核对本单位名单", "tell the enterprise and look at your lists"),
    ),
    _NOT_PASSED: Result(
        Text("【复核发现问题】", "[Findings of the check]"),
        Text(
            "省级复核发现下列企业的问题，随后作出决定（责令整改或不予通过）。",
            "The province's check of this enterprise found what stands below; what follows is decided next.",
        ),
        Text("督促企业先行整改，等待省级决定", "see that it begins to put it right, and await the province's decision"),
        with_findings=True,
    ),
    "spot_check": Result(
        Text("【通过复核】", "[Check passed]"),
        Text("下列企业已通过省级复核。", "This enterprise has passed the province's check."),
        Text("按时公示", "publish it in time"), is_applied_for=False,
    ),
    _REFUSED: Result(
        Text("【未获认定】", "[Lapsed]"),
        Text(
            "下列企业未通过省级复核，理由和问题如下；再次认定报送期限已过，本次培育已结束。",
            "This enterprise has not passed the province's check, for what stands below; the day of re-submission is over and its case closed.",
        ),
        Text("告知企业并核对本单位名单", "tell the enterprise and look at your lists"), with_findings=True,
    ),
    "lapse": Result(
        Text("【未获认定】", "[Lapsed]"),
        Text("下列企业本年度未获认定，本次培育已结束。", "This enterprise was not recognised this year; its case is closed."),
        Text("告知企业并核对本单位名单", "tell the enterprise and look at your lists"), with_findings=True,
    ),
    "correct": Result(
        Text("【更正】", "[Corrected]"),
        Text("对下列企业作出的省级决定系误录，已更正。", "The province's decision on this enterprise was entered by mistake and is corrected."),
        Text("核对该企业现状", "look how the case stands"),
    ),
}  # fmt: skip
# What the unit is told when the notice of a case has run and something stands against its recognition.
STALLED = Result(
    Text("【尚未认定】", "[Not yet recognised]"),
    Text("下列企业公示期已满，但尚不能认定，原因如下。", "The notice of this enterprise has run, but it cannot be recognised yet, for the reason below."),
    Text("补齐所缺，即自动认定", "supply what is missing: recognition follows by itself"), is_applied_for=False,
)  # fmt: skip
# What a case owes after a decision, by whose day something is to be done.
TERMS = ("resubmission", "re_review")
# Whose reason is told; of the others it stands in the findings, or there is none.
WITH_REASON = ("return_plan", "reject", "order_rectification", "lapse", "withdraw", "correct")
# After these nobody has to act on what was decided before, and nothing is decided by them: of a withdrawal only an
# enterprise is told that has heard of a decision before.
OVERTAKES = frozenset({"resubmit", "withdraw", "relist"})


def told_as(kind: str, case: Case) -> str:
    """Under which name an event of this kind, the case's last, is put into words."""
    if kind == "lapse" and case.lapsed_after is not None and case.lapsed_after.kind == "reject":
        return _REFUSED
    is_passed = kind != "spot_check" or (case.check is not None and case.check.result == "passed")
    return kind if is_passed else _NOT_PASSED


def decides(kind: str) -> bool:
    """Whether somebody is told of every event of this kind."""
    return kind not in OVERTAKES and (kind in TO_ENTERPRISE or kind in TO_UNIT)


def what_next(result: Result, *, has_term: bool) -> Text:
    """What to do next: who may come again does so only for as long as there is a day for it."""
    return _CLOSED if result.next is _AGAIN and not has_term else result.next
