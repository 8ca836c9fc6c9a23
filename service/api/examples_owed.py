"""Examples of what is sent and got of filings, obligations, messages and the board."""

from typing import Any

# What is sent, by operation: name → (summary, value).
SENT: dict[str, dict[str, tuple[str, Any]]] = {
    "submit_filing": {
        "as_they_stand": ("The unit's cases as they stand", {}),
        "nil": ("There is nothing to file", {"nil": True}),
    },
    "return_filing": {"reason": ("What to correct", {"reason": "第 3 行企业名称与营业执照不一致，请更正后重新提交"})},
}

_LINE: dict[str, Any] = {
    "id": "henan-2024.410100.list.2024", "programme": "henan-2024", "unit": "410100", "form": "list", "period": "2024",
    "title": "报送附件 1 培育清单", "clause": "P1", "signed": False, "due_on": "2024-05-31",
    "due_at": "2024-06-01T00:00:00+08:00", "owed_on": None, "status": "submitted", "version": 1,
    "submitted_at": "2024-05-30T16:20:00+08:00", "first_submitted_at": "2024-05-30T16:20:00+08:00",
    "submitted_by": "郑州 李工", "late": False, "return_reason": None, "documents": [], "rows_hash": "9f2c" * 16,
}  # fmt: skip
_ROW = {
    "number": 1, "unit": "郑州市", "county": "中牟县", "name": "郑州示例铸造有限公司",
    "credit_code": "91410100MA0090001K", "permit_no": None, "industry": "铸造", "industry_detail": None,
    "current_grade": "C", "target_grade": "B", "ultra_low_completed_on": None, "ultra_low_publicised_on": None,
    "applied_on": "2024-05-06", "finish_by": "2024-09-30", "officer": "李包联", "remark": None,
}  # fmt: skip
_FILING = {**_LINE, "rows": [_ROW], "draft": None}
_OBLIGATION = {
    "id": "filing.henan-2024.410100.list.2024", "programme": "henan-2024", "kind": "filing",
    "title": "报送附件 1 培育清单", "next": "核对本单位数据后提交报备；没有可报的提交零报告", "clause": "P1",
    "owner": {"unit": "410100", "handler": None},
    "subject": {"type": "filing", "id": "henan-2024.410100.list.2024"}, "since": "2024-05-20T09:00:00+08:00",
    "due_on": "2024-05-31", "due_at": "2024-06-01T00:00:00+08:00", "hard": False, "status": "open", "ended_at": None,
    "rung": "t-7", "trouble": None, "breached_at": None, "provisional": False,
}  # fmt: skip
_STANDING = {
    "code": "410100", "name": "郑州市", "target": 60, "counted": 12, "counted_after": 1, "share": 0.2, "in_time": 0.9,
    "by_state": {"upgrading": 40, "recognised": 13},
    "obligations": {"met": 88, "late": 6, "nil": 2, "open": 51, "overdue": 4},
    "requests": {"open": 3, "overdue": 1, "answered_late": 2}, "own_obligations": None,
    "rank": 4,
}  # fmt: skip

# What comes back when it goes well, by operation.
_MESSAGE: dict[str, Any] = {
    "id": "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e60", "channel": "email", "template": "reminder",
    "recipient": "li@example.org", "recipient_name": "李明", "language": "zh", "unit": "410100", "status": "sent",
    "attempts": 1, "message_id": "<0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e60@jinji.example.org>",
    "created_at": "2024-05-24T08:30:00+08:00", "next_attempt_at": None, "sent_at": "2024-05-24T08:30:00+08:00",
    "last_error": None, "rungs": [{"obligation": "filing.henan-2024.410100.list.2024", "rung": "t-7"}], "decision": None,
}  # fmt: skip
_LETTER = {
    **_MESSAGE, "subject": "【即将到期】报送附件 1 培育清单：2024年5月31日（星期五），还有 5 个工作日",
    "text": "李明：\n\n下列事项即将到期，请按时办理。\n", "html": "<p>李明：</p>",
}  # fmt: skip

GOT: dict[str, Any] = {
    "search_messages": {"items": [_MESSAGE], "next": None},
    "read_message": _LETTER,
    "retry_message": {
        **_LETTER, "status": "pending", "attempts": 3, "sent_at": None, "subject": None, "text": None, "html": None,
        "next_attempt_at": "2024-05-24T08:40:00+08:00", "last_error": "the mail server is away",
    },
    "search_filings": {"items": [_LINE], "next": None},
    "read_filing": _FILING,
    "submit_filing": _FILING,
    "return_filing": {
        **_FILING, "status": "returned", "owed_on": "2024-06-07", "version": 2, "draft": 1,
        "return_reason": "第 1 行企业名称与营业执照不一致，请更正后重新提交",
    },
    "search_obligations": {"items": [_OBLIGATION], "next": None},
    "read_obligation": _OBLIGATION,
    "explain_obligation": {
        "obligation": _OBLIGATION, "working_days": None, "days": [], "why": "期限为给定日期，至当日 24:00",
        "readings": ["“前”含当日，至当日 24:00，各处相同。"],
        "rungs": [{
            "rung": "t-7", "at": "2024-05-24T08:30:00+08:00", "to": ["officer"],
            "sent": [{
                "recipient": "contact:0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e31",
                "message": "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e41", "template": "digest", "status": "sent",
                "sent_at": "2024-05-24T08:31:05+08:00",
            }],
        }],
    },
    "read_board": {
        "programme": "henan-2024", "at": "2024-12-31T09:00:00+08:00",
        "province": {**_STANDING, "code": "410000", "name": "河南省", "target": 600, "rank": None},
        "units": [_STANDING],
    },
}  # fmt: skip
