"""Examples of the OpenAPI document: what is sent and what comes back, by operation. Names invented, codes valid."""

from typing import Any

from service.api import examples_owed

_CASE_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11"
_SITE_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e10"
_NOTICE_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e20"
_OBJECTION_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e30"
_REQUEST_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e40"
_HANDLER_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e50"
_MESSAGE_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e60"
_FEED_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e70"
_FEED_TOKEN = f"feed_{'5d' * 32}"
_WEBHOOK_ID = "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e80"
_HOOK_URL = "https://hooks.example.org/jinji"
_HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 an example
_RECEIPT = "9f1c6a0d3b7e48a2c5d1f0e9b8a7c6d5e4f3a2b1"
_HEAD = "5f0c9a4e1b7d3f2a6c8e0d9b4a7f1c3e5d2b8a6f0c9e4d1b7a3f2c6e8d0b9a4f"
_CREDIT_CODE = "91410100MA0090001K"
_CONTACT = {"name": "王联系", "phone": "0371-60001234", "email": "contact@example.org"}

LINE: dict[str, Any] = {
    "programme": "henan-2024",
    "unit": "410100",
    "enterprise": {
        "name": "郑州示例铸造有限公司",
        "credit_code": _CREDIT_CODE,
        "permit_no": f"{_CREDIT_CODE}001P",
        "county": "中牟县",
        "contact": _CONTACT,
    },
    "industry": "foundry",
    "current_grade": "C",
    "target_grade": "B",
    "applied_on": "2024-05-06",
    "finish_by": "2024-09-30",
    "officer": "李包联",
    "experts": ["周教授"],
}
_BY_ID = {**{name: LINE[name] for name in ("programme", "unit", "current_grade", "applied_on")}, "enterprise": _SITE_ID}
_BY_ID |= {"industry": "glass", "target_grade": "B", "reason": "补报"}
_SITE_SENT: dict[str, Any] = {
    "unit": "410100",
    "name": "郑州示例玻璃有限公司",
    "credit_code": _CREDIT_CODE,
    "permit_no": f"{_CREDIT_CODE}002P",
    "industry": "glass",
    "grade": "A",
    "contact": _CONTACT,
    "ultra_low": {"completed_on": "2023-11-01", "publicised_on": "2023-12-01"},
}
_REQUEST_SENT = {"case": _CASE_ID, "kind": "technical", "text": "请指导无组织排放改造的技术路线"}
_OFFICER_SENT = {
    "unit": "410100", "duty": "handler", "name": "刘工", "email": "handler@example.org", "language": "zh",
    "digest": True, "muted": ["measure"],
}  # fmt: skip
_EQUIPMENT = {
    "title": "更换除尘器",
    "kind": "equipment_renewal",
    "due_on": "2024-09-30",
    "equipment": {
        "category": "治理设备", "before": "旋风除尘", "after": "覆膜布袋除尘", "investment_10k_cny": 85,
        "funding": "自筹",
    },
}  # fmt: skip
_MEASURE = {"title": "料场封闭", "kind": "treatment_upgrade", "due_on": "2024-08-31"}

# One example of every event, in the order in which a case meets them.
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pre_assess": (
        "Pre-assessment: gaps by indicator category",
        {"event": "pre_assess", "data": {
            "assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}},
    ),
    "file_plan": (
        "The plan with its measures",
        {"event": "file_plan", "data": {
            "measures": [_MEASURE], "investment_10k_cny": 120, "start_on": "2024-06-10", "finish_on": "2024-09-30"}},
    ),
    "return_plan": ("Back for correction", {"event": "return_plan", "data": {}, "reason": "投资额与措施不符，请补正"}),
    "start_upgrade": ("Work begins", {"event": "start_upgrade", "data": {"started_on": "2024-06-12"}}),
    "amend_plan": (
        "Measures added, changed, dropped",
        {"event": "amend_plan", "data": {"add": [_EQUIPMENT], "change": [{"number": 1, "due_on": "2024-10-15"}],
                                         "drop": [2]}, "reason": "设备到货推迟"},
    ),
    "report_progress": (
        "The month's assessment on site",
        {"event": "report_progress", "data": {
            "month": "2024-07", "assessed_on": "2024-07-25", "assessors": ["吴工"], "done": [1],
            "progress": {"treatment_upgrade": 100}, "delayed": False, "conclusion": "按期完成"}},
    ),
    "accept": (
        "Acceptance by the city",
        {"event": "accept", "data": {
            "reviewed_on": "2024-07-30", "reviewers": ["钱工", "郑工"], "conclusion": "同意通过", "grade": "B",
            "indicators": {"fugitive": "met"}}},
    ),
    "fail_acceptance": (
        "The city found something wanting",
        {"event": "fail_acceptance", "data": {
            "reviewed_on": "2024-07-30", "reviewers": ["钱工"], "findings": ["台账不全"]}},
    ),
    "fast_track": (
        "The enterprise declares that it meets the grade",
        {"event": "fast_track", "data": {"declared_on": "2024-06-20", "declaration": "我单位承诺已达到 B 级指标"}},
    ),
    "spot_check": (
        "The province's check",
        {"event": "spot_check", "data": {
            "checked_on": "2024-08-05", "inspectors": ["孙处"], "result": "failed", "findings": ["在线监测数据缺失"]}},
    ),
    "order_rectification": (
        "What has to be put right, and when it is looked at again",
        {"event": "order_rectification", "data": {"review_on": "2024-10-20", "measures": [_MEASURE]}},
    ),
    "publish": ("Into a notice of its own", {"event": "publish", "data": {}}),
    "reject": ("Refused after a failed check", {"event": "reject", "data": {}, "reason": "复核未通过"}),
    "resubmit": (
        "Again, with an answer to each finding",
        {"event": "resubmit", "data": {
            "answers": [{"finding": 1, "answer": "已补齐数据并联网"}], "reviewed_on": "2024-12-10",
            "reviewers": ["钱工"], "conclusion": "整改到位"}},
    ),
    "withdraw": ("Off the list", {"event": "withdraw", "data": {}, "reason": "企业停产"}),
    "relist": ("On the list again", {"event": "relist", "data": {}, "reason": "企业复产"}),
    "disqualify": (
        "Eligibility cancelled",
        {"event": "disqualify", "data": {
            "violation": "监测数据造假", "decided_on": "2024-09-12", "document": "豫环罚〔2024〕12号"}},
    ),
    "correct": ("The last event was a mistake", {"event": "correct", "data": {}, "reason": "误将他厂材料录入"}),
}  # fmt: skip

# What is sent, by operation: name → (summary, value).
SENT: dict[str, dict[str, tuple[str, Any]]] = {
    "enter_site": {"site": ("A site that is A already", _SITE_SENT)},
    "amend_site": {
        "grade": ("Its grade after a review", {"grade": "B", "reason": "2024 年复核"}),
        "contact": ("Another contact", {"contact": _CONTACT}),
    },
    "list_case": {
        "whole": ("The site sent whole: found by its code, or entered", LINE),
        "by_id": ("A site of the ledger", _BY_ID),
    },
    "list_many": {
        "dry_run": ("Only look whether it would go", {"items": [LINE], "dry_run": True}),
        "lines": ("Each succeeds or fails alone", {"items": [LINE, _BY_ID]}),
    },
    "amend_case": {
        "facts": ("Facts", {"officer": "赵包联", "finish_by": "2024-10-31", "reason": "人员调整"}),
        "site": ("The site's contact and retrofit", {
            "enterprise": {"contact": _CONTACT}, "ultra_low": {"completed_on": "2024-04-30"}}),
    },
    "move_case": EVENTS,
    "move_many": {
        "two": ("Two cases, all or nothing", {
            "items": [
                {"case": _CASE_ID, "version": 4, **EVENTS["accept"][1]},
                {"case": _SITE_ID, "version": 1, **EVENTS["withdraw"][1]},
            ],
            "all_or_nothing": True,
        }),
    },
    "open_request": {
        "of_a_case": ("Of a case, now", _REQUEST_SENT),
        "of_a_site": ("Of a site, received before", {
            "enterprise": _SITE_ID, "kind": "policy", "text": "A 级企业重污染天气自主减排如何办理",
            "received_at": "2024-05-17T16:30:00+08:00"}),
    },
    "assign_request": {"one": ("To a contact of the unit", {"handler": _HANDLER_ID})},
    "answer_request": {"one": ("What the enterprise was told", {"text": "已派专家现场指导，方案附后"})},
    "enter_contact": {
        "handler": ("Who answers requests", _OFFICER_SENT),
        "province": ("A supervisor of the province", {
            "unit": "410000", "duty": "supervisor", "name": "王处", "email": "supervisor@example.org"}),
    },
    "confirm_contact": {
        "send": ("Mail a code to the address", {}),
        "confirm": ("Enter the code that came", {"code": "4829150037"}),
    },
    "amend_contact": {
        "person": ("Somebody else", {"name": "陈工", "email": "chen@example.org", "reason": "人员调整"}),
        "mails": ("Fewer mails", {"digest": True, "muted": ["measure", "report"]}),
    },
    "open_notice": {"one": ("One case", {"cases": [{"case": _CASE_ID, "version": 7}], "reason": "第一批"})},
    "decide_objection": {
        "dismissed": ("Dismissed", {"upheld": False, "finding": "经核查，反映的问题不属实"}),
        "upheld": ("Upheld: the case is rejected", {"upheld": True, "finding": "夜间治理设施停运属实"}),
    },
    "lodge_objection": {
        "named": ("With a contact", {"case": _CASE_ID, "reasons": "夜间治理设施停运", "contact": _CONTACT}),
        "anonymous": ("Without one", {"case": _CASE_ID, "reasons": "夜间治理设施停运"}),
    },
    "make_feed": {
        "own": ("Of one's own unit", {}),
        "another": ("By the province, of a unit", {"unit": "410100"}),
    },
    "make_webhook": {
        "made": ("With a secret that is made", {"url": _HOOK_URL, "events": ["case.moved"]}),
        "brought": ("With one's own", {"url": _HOOK_URL, "events": ["notice.opened"], "secret": _HOOK_SECRET}),
    },
    "move_clock": {"june": ("To a morning in June", {"to": "2024-06-03T09:00:00+08:00"})},
    **examples_owed.SENT,
}  # fmt: skip

_SITE_GOT = {
    "id": _SITE_ID, **_SITE_SENT, "county": None, "version": 1,
    "ultra_low": {"due_on": None, "completed_on": "2023-11-01", "publicised_on": "2023-12-01"},
}  # fmt: skip
_ENTERPRISE_OF_CASE = {
    "id": _SITE_ID, **{name: value for name, value in LINE["enterprise"].items() if name != "contact"},
}  # fmt: skip
_CASE_GOT: dict[str, Any] = {
    "id": _CASE_ID, "programme": "henan-2024", "programme_version": 1, "unit": "410100",
    "enterprise": _ENTERPRISE_OF_CASE, "industry": "foundry", "industry_detail": None, "current_grade": "C",
    "target_grade": "B", "applied_on": "2024-05-06", "finish_by": "2024-09-30", "officer": "李包联",
    "experts": ["周教授"], "ultra_low": {"completed_on": None, "publicised_on": None}, "remark": None,
    "state": "listed", "version": 1, "head": _HEAD, "listed_at": "2024-05-20T09:00:00+08:00",
    "entered_at": "2024-05-20T09:00:00+08:00", "flags": [], "route": "normal", "grade_reached": None,
    "resubmissions": 0, "pre_assessment": None, "plan": None, "started_on": None, "measures": [], "reports": [],
    "failed_review": None, "findings": [], "check": None, "draw": None, "review_on": None, "notice": None, "recognised_at": None,
    "disqualification": None,
}  # fmt: skip
_PRE_ASSESSED = {
    **_CASE_GOT, "state": "pre_assessed", "version": 2, "entered_at": "2024-06-03T09:00:00+08:00",
    "pre_assessment": EVENTS["pre_assess"][1]["data"],
}  # fmt: skip
_ENTRY = {
    "id": f"{_CASE_ID}.2", "at": "2024-06-03T09:00:00+08:00",
    "actor": {"id": "0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e01", "name": "郑州 李工", "role": "unit"}, "unit": "410100",
    "action": "pre_assess", "subject": {"type": "case", "id": _CASE_ID}, "version": 2, "reason": None,
    "data": EVENTS["pre_assess"][1]["data"], "changes": {"state": "pre_assessed"}, "prev": _HEAD, "hash": _HEAD[::-1],
    "request_id": "b7c1d2e3f4a5968778695a4b3c2d1e0f",
}  # fmt: skip
_NOTICE = {
    "id": _NOTICE_ID, "programme": "henan-2024", "unit": "410100", "opened_on": "2024-09-03", "ends_on": "2024-09-10",
    "ends_at": "2024-09-11T00:00:00+08:00", "provisional": False, "running": True, "version": 1,
    "entries": [{
        "case": _CASE_ID, "enterprise": "郑州示例铸造有限公司", "credit_code": _CREDIT_CODE,
        "permit_no": f"{_CREDIT_CODE}001P", "county": "中牟县", "industry": "foundry", "current_grade": "C",
        "grade": "B", "left_as": None,
    }],
}  # fmt: skip
_OBJECTION = {
    "id": _OBJECTION_ID, "notice": _NOTICE_ID, "case": _CASE_ID, "unit": "410100", "reasons": "夜间治理设施停运",
    "contact": _CONTACT, "state": "open", "lodged_at": "2024-09-04T10:00:00+08:00", "due_on": "2024-09-11",
    "provisional": False, "decided_at": None, "finding": None, "version": 1,
}  # fmt: skip
_REQUEST = {
    "id": _REQUEST_ID, "programme": "henan-2024", "programme_version": 1, "unit": "410100", **_REQUEST_SENT,
    "enterprise": _SITE_ID, "state": "open", "handler": _HANDLER_ID, "received_at": "2024-09-27T10:00:00+08:00",
    "opened_at": "2024-09-27T10:00:00+08:00", "due_on": "2024-10-10", "due_at": "2024-10-11T00:00:00+08:00",
    "provisional": False, "breached_at": None, "answered_at": None, "answer": None, "late": None, "version": 1,
}  # fmt: skip
_REQUEST_WHOLE = {
    **_REQUEST,
    "walk": [
        {"date": "2024-09-28", "kind": "weekend", "counted": False, "number": None},
        {"date": "2024-09-29", "kind": "make_up", "counted": True, "number": 1},
    ],
    "rungs": [
        {"rung": "handed", "at": "2024-09-27T10:00:00+08:00", "sent": [{
            "recipient": f"contact:{_HANDLER_ID}", "message": _MESSAGE_ID, "status": "sent",
            "sent_at": "2024-09-27T10:00:05+08:00"}]},
        {"rung": "due", "at": "2024-10-10T08:30:00+08:00", "sent": []},
        {"rung": "breach", "at": "2024-10-11T00:00:00+08:00", "sent": []},
    ],
}  # fmt: skip
_ANSWERED = {
    "state": "answered", "answered_at": "2024-10-09T10:00:00+08:00", "answer": "已派专家现场指导，方案附后", "late": False,
}  # fmt: skip
_FIGURES = {
    "received": 12, "answered": 10, "answered_late": 1, "open": 1, "overdue": 1, "median_working_days": 3.5,
    "share_in_time": 0.8182,
}  # fmt: skip
_OFFICER = {"id": _HANDLER_ID, **_OFFICER_SENT, "confirmed_at": None, "version": 1}
_REASON = {
    "code": "wrong_credit_code", "detail": "统一社会信用代码有误：应为 18 位且校验位正确（GB 32100-2015），请对照营业执照",
    "clause": "T1", "field": "enterprise.credit_code", "who": None, "until": None,
}  # fmt: skip
_AREA = {"code": "410100", "name": "郑州市", "target": 60, "counted": ["A", "B"], "clause": "T3"}
_PROGRAMME_LINE = {
    "id": "henan-2024", "version": 1, "title": "河南省2024年重点行业绩效分级提升行动方案", "closes_on": "2024-12-31",
}  # fmt: skip
_WINDOW = {"from": "2024-05-01", "to": "2024-06-30"}
_PROGRAMME = {
    **_PROGRAMME_LINE, "source": "豫环文〔2024〕号", "year": 2024, "timezone": "Asia/Shanghai", "draft": False,
    "phases": [{"id": "listing", "title": "确定培育清单", **_WINDOW, "clause": "P1"}],
    "units": [_AREA], "province": {**_AREA, "code": "410000", "name": "河南省", "target": 600},
    "industries": [{"id": "foundry", "name": "铸造", "ultra_low": False, "needs_detail": False}],
    "indicators": [{"id": "fugitive", "name": "无组织排放"}],
    "measure_kinds": [{"id": "equipment_renewal", "name": "设备更新"}],
    "equipment_categories": [{"id": "treatment", "name": "治理设备"}],
    "fundings": [{"id": "own", "name": "企业自筹"}],
    "grades": [{"id": "B", "name": "B 级", "ladder": "letters", "rank": 3, "target": True, "entitlement": None}],
    "states": [{"id": "listed", "name": "已列入", "final": False}],
    "events": [{
        "id": "pre_assess", "name": "pre_assess", "kind": "pre_assess", "title": "预评估", "from": ["listed"],
        "to": "pre_assessed", "roles": ["unit", "expert"], "window": _WINDOW, "needs_reason": False, "clause": "P2",
        "guards": [], "data_schema": {"type": "object"},
    }],
    "spans": {"notice": {"working_days": 5, "clause": "P6"}},
    "dates": [{
        "id": "list", "title": "报送培育清单", "owner": "unit", "due_on": "2024-05-31", "hard": False,
        "ladder": ["t-7", "due"], "clause": "F1",
    }],
    "filings": [{"form": "list", "period": "2024", "date": "list", "signed": True}],
    "forms": [{
        "id": "list", "number": "1", "title": "培育清单", "clause": "F1", "signed": True,
        "columns": [{"id": "name", "head": "企业名称", "type": "text", "required": True, "required_when": None}],
    }],
    "clauses": [{"id": "P1", "where": "三（一）", "says": "确定培育清单"}],
    "readings": [{"clause": "P6", "text": "公示期按工作日计"}],
}  # fmt: skip


def _page(item: Any) -> dict[str, Any]:
    return {"items": [item], "next": None}


# What comes back when it goes well, by operation.
_FEED = {
    "id": _FEED_ID, "unit": "410100", "created_at": "2024-05-20T09:00:00+08:00", "created_by": "李工", "version": 1,
}  # fmt: skip
_WEBHOOK = {
    "id": _WEBHOOK_ID, "unit": None, "url": _HOOK_URL, "events": ["case.moved"],
    "created_at": "2024-05-20T09:00:00+08:00", "version": 1,
}  # fmt: skip
_CALENDAR = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//jinji//dates//ZH\r
BEGIN:VEVENT\r
UID:filing.henan-2024.410100.list.2024@jinji.example.org\r
DTSTART;VALUE=DATE:20240531\r
SUMMARY:报送培育清单（附件1）\r
END:VEVENT\r
END:VCALENDAR\r
"""

GOT: dict[str, Any] = {
    "list_programmes": _page(_PROGRAMME_LINE),
    "read_programme": _PROGRAMME,
    "read_diagram": "stateDiagram-v2\n  listed --> pre_assessed: pre_assess\n",
    "read_day": {
        "date": "2024-10-12", "working": True, "kind": "make_up", "provisional": False, "name": "国庆节",
        "paper": "国办发明电〔2023〕7号",
    },
    "read_due": {
        "start": "2024-09-27", "working_days": 2, "due_on": "2024-09-30", "due_at": "2024-10-01T00:00:00+08:00",
        "provisional": False,
        "days": [
            {"date": "2024-09-27", "kind": "weekday", "counted": False, "number": None},
            {"date": "2024-09-28", "kind": "weekend", "counted": False, "number": None},
            {"date": "2024-09-29", "kind": "make_up", "counted": True, "number": 1},
            {"date": "2024-09-30", "kind": "weekday", "counted": True, "number": 2},
        ],
    },
    "enter_site": _SITE_GOT,
    "search_sites": _page(_SITE_GOT),
    "read_site": _SITE_GOT,
    "amend_site": {**_SITE_GOT, "grade": "B", "version": 2},
    "list_case": _CASE_GOT,
    "search_cases": _page(_CASE_GOT),
    "list_many": {"results": [
        {"index": 0, "ok": True, "id": _CASE_ID, "version": 1, "state": "listed",
         "entry": {"id": f"{_CASE_ID}.1", "hash": _HEAD}},
        {"index": 1, "ok": False, "code": "malformed", "errors": [_REASON]},
    ]},
    "move_many": {"results": [
        {"index": 0, "ok": True, "id": _CASE_ID, "version": 2, "state": "pre_assessed",
         "entry": {"id": f"{_CASE_ID}.2", "hash": _HEAD}},
    ]},
    "read_case": _CASE_GOT,
    "amend_case": {**_CASE_GOT, "officer": "赵包联", "version": 2},
    "read_offers": {"items": [
        {"event": "pre_assess", "title": "预评估", "allowed": True, "needs_reason": False, "flag": None, "reasons": []},
    ]},
    "read_history": _page(_ENTRY),
    "move_case": {"case": _PRE_ASSESSED, "entry": {"id": f"{_CASE_ID}.2", "hash": _HEAD}},
    "open_request": _REQUEST_WHOLE,
    "search_requests": _page(_REQUEST),
    "count_requests": {"items": [{"unit": "410100", "kind": "technical", **_FIGURES}], "total": _FIGURES},
    "read_request": _REQUEST_WHOLE,
    "assign_request": {**_REQUEST_WHOLE, "version": 2},
    "answer_request": {**_REQUEST_WHOLE, **_ANSWERED, "version": 2},
    "search_contacts": _page(_OFFICER),
    "enter_contact": _OFFICER,
    "read_contact": _OFFICER,
    "confirm_contact": {**_OFFICER, "version": 2},
    "amend_contact": {**_OFFICER, "name": "陈工", "email": "chen@example.org", "version": 2},
    "remove_contact": {**_OFFICER, "version": 2},
    "open_notice": _NOTICE,
    "search_objections": _page(_OBJECTION),
    "read_objection": _OBJECTION,
    "decide_objection": {
        **_OBJECTION, "state": "dismissed", "decided_at": "2024-09-06T10:00:00+08:00", "version": 2,
        "finding": "经核查，反映的问题不属实",
    },
    "public_notices": _page(_NOTICE),
    "public_notice": _NOTICE,
    "lodge_objection": {"receipt": _RECEIPT, "due_on": "2024-09-11", "state": "open"},
    "public_objection": {
        "state": "open", "notice": _NOTICE_ID, "case": _CASE_ID, "lodged_at": "2024-09-04T10:00:00+08:00",
        "due_on": "2024-09-11", "decided_at": None, "finding": None,
    },
    "public_results": _page({
        "programme": "henan-2024", "unit": "410100", "enterprise": "郑州示例铸造有限公司",
        "credit_code": _CREDIT_CODE, "industry": "foundry", "current_grade": "C", "grade": "B", "grade_name": "B 级",
        "recognised_at": "2024-09-11T00:00:00+08:00", "entitlement": None,
    }),
    **examples_owed.GOT,
    "make_feed": {**_FEED, "token": _FEED_TOKEN, "url": f"https://jinji.example.org/api/v1/calendar.ics?token={_FEED_TOKEN}"},
    "search_feeds": _page(_FEED),
    "remove_feed": {**_FEED, "version": 2},
    "read_calendar": _CALENDAR,
    "make_webhook": {**_WEBHOOK, "secret": _HOOK_SECRET},
    "search_webhooks": _page(_WEBHOOK),
    "remove_webhook": {**_WEBHOOK, "version": 2},
    "search_audit": _page(_ENTRY),
    "verify_audit": {"ok": True, "entries": 2310, "broken": []},
    "read_clock": {"now": "2024-05-20T09:00:00+08:00", "mode": "virtual"},
    "move_clock": {"now": "2024-06-03T09:00:00+08:00", "ticks": 2, "messages": 0},
    "live": {"status": "ok"},
    "ready": {"status": "ok", "checks": {
        "database": {"ok": True, "revision": "0001", "wanted": "0001"},
        "ticker": {"ok": True, "seconds_since_last_tick": 4.2, "allowed": 60, "failed": False},
    }},
    "metrics": "# HELP jinji_requests_total Requests answered.\n# TYPE jinji_requests_total counter\n",
}  # fmt: skip
