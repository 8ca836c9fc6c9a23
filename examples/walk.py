"""Walk the 2024 plan by REST: seven invented enterprises, from the list to recognition, refusal and disqualification,
with what their unit owes, the requests it answers, and who is written to when it is late.

    make run                              in one terminal
    .venv/bin/python examples/walk.py     in another

It moves the virtual clock from May to September, so each walk needs a fresh database; it says so where it finds another.
Every line that begins with an arrow is one request; below it stands what the service answered. A status that is not the
expected one ends the walk with exit code 1.
"""

import argparse
import json
import sys
import uuid
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx

PROGRAMME, UNIT = "henan-2024", "410100"
OFFICER, COLLEAGUE, NEIGHBOUR = f"unit-{UNIT}", f"unit-{UNIT}-second", "unit-410200"
FRESH = """  JINJI_DATABASE_URL=sqlite:///var/walk/jinji.db JINJI_PORT=8001 make run
  .venv/bin/python examples/walk.py --url http://127.0.0.1:8001 --tokens var/walk/tokens
(again for another walk: end that service, rm -r var/walk, and start it again)"""
ROLES = {
    "unit": "填报单位", "province": "省级主管部门", "system": "系统", "expert": "专家", "enterprise": "企业", "admin": "管理员",
}  # fmt: skip
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit_code(number: int) -> str:
    """A code of an invented enterprise; the last character is its check digit (GB 32100-2015)."""
    body = f"91{UNIT}MA9WALK{number:02d}"
    total = sum(ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(body))
    return body + ALPHABET[(31 - total % 31) % 31]


def end_of_day(until: str | None) -> str:
    """A limit as people write it: 00:00 of a day is 24:00 of the day before."""
    if until is None:
        return ""
    at = datetime.fromisoformat(until)
    return f"{at - timedelta(days=1):%Y-%m-%d} 24:00" if f"{at:%H:%M}" == "00:00" else f"{at:%Y-%m-%d %H:%M}"


def minute(at: str) -> str:
    """An instant to the minute."""
    return at[:16].replace("T", " ")


class Walk:
    """One walk: sends requests, prints each with its answer, and remembers the version of every case."""

    def __init__(self, http: httpx.Client, tokens: dict[str, str], language: str) -> None:
        self.http = http
        self.tokens = tokens
        self.language = language
        self.states: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def say(self, zh: str, en: str) -> str:
        """One of two texts."""
        return en if self.language == "en" else zh

    def head(self, zh: str, en: str) -> None:
        """A heading."""
        print(f"\n== {self.say(zh, en)}")

    def send(self, who: str | None, method: str, path: str, expected: int, body: Any = None, **more: Any) -> Any:
        """One request and its answer, as JSON. `version` becomes If-Match; `note` stands in the printed line."""
        note, version = more.pop("note", ""), more.pop("version", None)
        headers = {"Accept-Language": "en" if self.language == "en" else "zh-CN"}
        if who is not None:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        shown = f"{method} {path.split('?')[0]} {note}".rstrip()
        for thing, name in self.names.items():
            shown = shown.replace(thing, name)
        print(f"→ {shown}  [{who or self.say('公众', 'the public')}]")
        answer = self.http.request(method, f"/api/v1{path}", json=body, headers=headers, **more)
        content = answer.json()
        if answer.status_code >= 400:
            self.print_refusal(answer.status_code, content)
        if answer.status_code != expected:
            print(json.dumps(content, ensure_ascii=False, indent=2))
            stop(self.say(f"本应答 {expected}，走查中止", f"{expected} was expected: the walk ends here"))
        return content

    def print_refusal(self, status: int, content: dict[str, Any]) -> None:
        """Every reason: what, under which clause, what to supply, who can, until when."""
        print(f"   {status} {content['title']}" + ("" if content["errors"] else f": {content['detail']}"))
        for reason in content["errors"]:
            who = reason["who"] if self.language == "en" else ROLES.get(reason["who"], reason["who"])
            marks = {
                self.say("条款", "clause"): reason["clause"],
                self.say("应补", "supply"): reason["field"],
                self.say("由", "by"): who,
                self.say("至", "until"): end_of_day(reason["until"]),
            }
            print(f"     ✗ {reason['detail']}")
            print("       " + " · ".join(f"{name} {value}" for name, value in marks.items() if value))

    def state(self, case: dict[str, Any]) -> str:
        """The state of a case, in words and as it stands in the API."""
        return f"{self.states[case['state']]} ({case['state']})" if self.language == "zh" else str(case["state"])

    def show(self, case: dict[str, Any]) -> None:
        """The state of a case after it moved."""
        more = [f"v{case['version']}"]
        if case["grade_reached"]:
            more.append(self.say("验收等级 ", "grade ") + case["grade_reached"])
        if case["notice"]:
            more.append(self.say("公示至 ", "notice until ") + case["notice"]["ends_on"])
        more += case["flags"]
        print(f"   200 {self.state(case)} · " + " · ".join(more))

    # --- the words of the plan ----------------------------------------------------------------------------------------

    def clock(self, day: str, hour: str = "09:00") -> None:
        """Move the virtual clock; what is due on the way happens."""
        print()
        moved = self.send("admin", "POST", "/clock", 200, {"to": f"{day}T{hour}:00+08:00"}, note=f"→ {day} {hour}")
        print(f"   200 {minute(moved['now'])}")

    def list(self, number: int, name: str, industry: str, current: str, target: str) -> str:
        """List an enterprise; the id of its case."""
        site = {
            "name": name,
            "credit_code": credit_code(number),
            "contact": {"name": "王联系", "phone": f"0371-5550{number:04d}"},
        }
        line = {
            "programme": PROGRAMME, "unit": UNIT, "enterprise": site, "industry": industry, "current_grade": current,
            "target_grade": target, "applied_on": "2024-05-10",
        }  # fmt: skip
        note = f"{name} {site['credit_code']} {industry} {current}→{target}"
        case = self.send(OFFICER, "POST", "/cases", 201, line, note=note)
        self.names[case["id"]], self.versions[case["id"]] = name.removesuffix("有限公司"), case["version"]
        print(f"   201 {self.state(case)}")
        return str(case["id"])

    def event(
        self, who: str, case: str, name: str, data: Any = None, reason: str | None = None, expected: int = 200,
        dry_run: bool = False, remark: str = "",
    ) -> None:  # fmt: skip
        """Send an event; a refusal is printed with all its reasons."""
        body = {"event": name, "data": data or {}} | ({"reason": reason} if reason else {})
        path = f"/cases/{case}/events" + ("?dry_run=true" if dry_run else "")
        note = " ".join(filter(None, (name, "dry_run" if dry_run else "", remark)))
        content = self.send(who, "POST", path, expected, body, note=note, version=self.versions[case])
        if expected == 200:
            self.show(content["case"])
            if not dry_run:
                self.versions[case] = content["case"]["version"]

    def amend(self, case: str, **facts: Any) -> None:
        """Amend facts of a case by PATCH."""
        note = json.dumps(facts, ensure_ascii=False)
        content = self.send(OFFICER, "PATCH", f"/cases/{case}", 200, facts, note=note, version=self.versions[case])
        self.versions[case] = content["version"]
        self.show(content)

    def look(self, case: str, state: str) -> None:
        """Read a case, which must be in a state."""
        content = self.send("province", "GET", f"/cases/{case}", 200)
        self.show(content)
        self.versions[case] = content["version"]
        if content["state"] != state:
            stop(f"{content['state']} ≠ {state}")

    def pre_assess(self, case: str) -> None:
        """The pre-assessment, on 3 June."""
        found = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"无组织排放": "料场未封闭"}}
        self.event(OFFICER, case, "pre_assess", found)

    def upgrade(self, case: str) -> None:
        """From the pre-assessment to the building site, on 3 June."""
        measure = {"title": "料场全封闭", "kind": "治理升级", "due_on": "2024-07-10"}
        plan = {"measures": [measure], "investment_10k_cny": 260, "start_on": "2024-06-03", "finish_on": "2024-07-10"}
        self.pre_assess(case)
        self.event(OFFICER, case, "file_plan", plan)
        self.event(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})

    def report(self, case: str) -> None:
        """July's report: the measure is done."""
        report = {
            "month": "2024-07", "assessed_on": "2024-07-16", "assessors": ["吴工"], "done": [1],
            "progress": {"治理升级": 100}, "delayed": False, "conclusion": "措施已完成",
        }  # fmt: skip
        self.event(OFFICER, case, "report_progress", report)

    def accept(self, case: str, *reviewers: str, grade: str | None = None, **more: Any) -> None:
        """The city's review, on 16 July."""
        review: dict[str, Any] = {
            "reviewed_on": "2024-07-16", "reviewers": reviewers or ("钱工", "郑工"), "conclusion": "符合指标，同意通过",
        }  # fmt: skip
        if grade:
            review["grade"] = grade
            more["remark"] = f"grade={grade}"
        self.event(OFFICER, case, "accept", review, **more)

    def check(self, case: str, day: str, *findings: str, inspector: str = "孙处", **more: Any) -> None:
        """The province's check; with findings it fails."""
        result = "failed" if findings else "passed"
        data = {"checked_on": day, "inspectors": [inspector], "result": result, "findings": findings}
        self.event("province", case, "spot_check", data, remark=result, **more)

    def owed(self, due_to: str) -> None:
        """What the unit owes by a day and has not done: how much of each kind."""
        query = {"unit": UNIT, "status": "open", "due_to": due_to, "limit": 200}
        path = f"/obligations?{urlencode(query)}"
        items = self.send(OFFICER, "GET", path, 200, note=f"status=open due_to={due_to}")["items"]
        kinds = Counter(f"{each['title']} {each['due_on']}" for each in items)
        print("   200 " + " · ".join(f"{title} ×{number}" for title, number in kinds.items()))

    def file(self, form: str, period: str) -> None:
        """Hand in a filing: its rows are frozen from the unit's cases as they stand."""
        path = f"/filings/{PROGRAMME}.{UNIT}.{form}.{period}"
        owed = self.send(OFFICER, "GET", path, 200)
        print(f"   200 {owed['status']} · v{owed['version']}")
        filed = self.send(OFFICER, "POST", f"{path}/submit", 200, {}, version=owed["version"])
        late = self.say("逾期", "late") if filed["late"] else self.say("按时", "in time")
        print(f"   200 {filed['status']} · {len(filed['rows'])} {self.say('行', 'rows')} · {late}")

    def ask(self, case: str, kind: str, text: str) -> str:
        """A request of an enterprise; its id. Printed: until when it is to be answered, and when who is reminded."""
        opened = self.send(OFFICER, "POST", "/requests", 201, {"case": case, "kind": kind, "text": text}, note=text)
        self.names[opened["id"]] = f"{{{kind}}}"
        rungs = " · ".join(f"{rung['rung']} {minute(rung['at'])[5:]}" for rung in opened["rungs"])
        print(f"   201 {self.say('答复期限', 'to be answered by')} {end_of_day(opened['due_at'])} · {rungs}")
        return str(opened["id"])

    def answer(self, request: str, text: str, late: bool) -> None:
        """Answer a request, which must be in time or late."""
        found = self.send(OFFICER, "GET", f"/requests/{request}", 200)
        print(f"   200 {found['state']} · v{found['version']}")
        body, path = {"text": text}, f"/requests/{request}/answer"
        answered = self.send(OFFICER, "POST", path, 200, body, version=found["version"], note=text)
        print(f"   200 {answered['state']} · late={answered['late']}")
        if answered["late"] != late:
            stop(f"late={answered['late']}")

    def mails(self, **wanted: str) -> None:
        """Mails in the order in which they were written: when, what, to whom, for which rungs."""
        path, note = f"/messages?{urlencode(wanted)}&limit=200", " ".join(wanted.values())
        found = self.send("province", "GET", path, 200, note=note)
        for mail in reversed(found["items"]):
            rungs = Counter(rung["rung"] for rung in mail["rungs"])
            told = ", ".join(rung + (f" ×{number}" if number > 1 else "") for rung, number in rungs.items())
            print(f"   {minute(mail['created_at'])}  {mail['template']:16}  {mail['recipient_name']}  {told}")

    def resubmit(self, case: str, day: str, *answers: str, **more: Any) -> None:
        """Submit again, with an answer to each finding and a new review."""
        data = {
            "answers": [{"finding": number, "answer": answer} for number, answer in enumerate(answers, 1)],
            "reviewed_on": day, "reviewers": ["钱工"], "conclusion": "整改到位",
        }  # fmt: skip
        self.event(OFFICER, case, "resubmit", data, **more)


def walk(w: Walk) -> None:
    """The whole way, from May to September."""
    w.head("一、5 月：列入培育清单（附件1）", "1. May: seven enterprises are listed (form 1)")
    smooth = w.list(1, "嵩岳甲铸造有限公司", "foundry", "C", "B")
    second = w.list(2, "嵩岳乙化工有限公司", "chemical", "D", "B")
    steel = w.list(3, "嵩岳丙钢铁有限公司", "steel", "C", "A")
    cement = w.list(4, "嵩岳丁水泥有限公司", "cement", "C", "A")
    coking = w.list(5, "嵩岳戊焦化有限公司", "coking", "C", "B")
    unfit = w.list(6, "嵩岳己玻璃有限公司", "glass", "D", "B")
    objected = w.list(7, "嵩岳庚耐材有限公司", "refractory", "non_leading", "leading")
    w.owed("2024-06-15")
    w.file("list", "2024")
    w.owed("2024-06-15")

    w.head("二、6 月：预评估、一企一策、开工", "2. June: pre-assessment, a plan for each, work begins")
    w.clock("2024-06-03")
    for case in (smooth, second, steel, coking, objected):
        w.upgrade(case)
    w.pre_assess(cement)
    w.pre_assess(unfit)

    w.head(
        "三、企业需求：5 个工作日内答复，一件按时，一件逾期",
        "3. Requests: 5 working days to answer; one is answered in time, one late",
    )
    prompt = w.ask(smooth, "funding", "能否申请治理资金？")
    forgotten = w.ask(steel, "technical", "改造如何公示？")
    w.clock("2024-06-06")
    w.answer(prompt, "可以，附件已转交", late=False)
    w.clock("2024-06-12")
    w.answer(forgotten, "在市局网站公示", late=True)
    for request in (prompt, forgotten):
        w.mails(obligation=f"answer.{request}")

    w.head(
        "四、7 月：月度跟踪与验收。一次说清全部未满足的条件",
        "4. July: reports, acceptance; a refusal lists all that is unmet",
    )
    w.clock("2024-07-16")
    w.accept(steel, "周教授", expected=409)
    for case in (smooth, second, steel, coking, objected):
        w.report(case)
    for case in (smooth, second, objected):
        w.accept(case)

    w.head("五、二（一）超低排放改造：验收", "5. W1, the ultra-low-emission retrofit: acceptance")
    w.accept(steel, expected=409)
    w.accept(steel, grade="B", dry_run=True)
    w.amend(steel, ultra_low={"completed_on": "2024-06-28"})
    w.accept(steel, expected=409)
    w.amend(steel, ultra_low={"publicised_on": "2024-07-12"})
    w.accept(steel)
    w.accept(coking)

    w.head("六、二（一）超低排放改造：快速通道", "6. W1, the retrofit: fast track")
    declared = {"declared_on": "2024-07-16", "declaration": "我单位已达到 A 级指标要求"}
    w.event(OFFICER, cement, "fast_track", declared, expected=409)
    w.event(OFFICER, cement, "fast_track", declared | {"grade": "B"}, dry_run=True, remark="grade=B")
    w.amend(cement, ultra_low={"completed_on": "2024-05-30"})
    w.event(OFFICER, cement, "fast_track", declared, expected=409)
    w.amend(cement, ultra_low={"publicised_on": "2024-07-05"})
    w.event(OFFICER, cement, "fast_track", declared)

    w.head("七、8 月：省级复核；未通过；违规的取消资格", "7. August: the province checks, rejects, disqualifies")
    w.clock("2024-08-05")
    w.check(smooth, "2024-08-05", inspector="钱工", expected=409)
    for case in (smooth, objected):
        w.check(case, "2024-08-05")
    w.check(second, "2024-08-05", "危废台账不全", "在线监测数据缺失")
    w.event("province", second, "reject", reason="复核未通过")
    violation = {"violation": "伪造监测数据", "decided_on": "2024-08-02", "document": "豫环罚〔2024〕88号"}
    w.event("province", unfit, "disqualify", violation)
    w.event(OFFICER, unfit, "relist", reason="申请恢复", expected=409)

    w.head("八、9 月：公示与异议", "8. September: notices, and an objection")
    w.clock("2024-09-02")
    w.event(OFFICER, steel, "publish", expected=409)
    w.send(NEIGHBOUR, "GET", f"/cases/{smooth}", 404)
    for case in (smooth, objected):
        w.event(OFFICER, case, "publish")
    notice = w.send("province", "GET", f"/cases/{objected}", 200)["notice"]["id"]
    w.names[notice] = w.say("{公示}", "{notice}")
    print(f"   200 {w.say('公示编号', 'the notice is')} {notice}")
    lodged = {"case": objected, "reasons": "夜间仍有异味和扬尘"}
    sent = w.send(None, "POST", f"/public/notices/{notice}/objections", 201, lodged, note=lodged["reasons"])
    print(f"   201 {w.say('处理期限', 'to be decided by')} {sent['due_on']}")
    (objection,) = w.send(OFFICER, "GET", "/objections?state=open", 200)["items"]
    print(f"   200 1 {w.say('件待处理', 'to decide')}: {objection['reasons']}")
    decision = {"upheld": True, "finding": "夜间破碎工段未开启除尘设施"}
    path = f"/objections/{objection['id']}/decide"
    w.names[objection["id"]] = w.say("{异议}", "{objection}")
    w.send(OFFICER, "POST", path, 409, decision, version=objection["version"])
    decided = w.send(COLLEAGUE, "POST", path, 200, decision, version=objection["version"], note="upheld")
    print(f"   200 {decided['state']}")
    w.look(objected, "rejected")

    w.head("九、公示期满，自动认定", "9. The notice has run: recognised by itself")
    w.clock("2024-09-10", "00:00")
    w.look(smooth, "recognised")

    w.head(
        "十、再次认定报送：须逐条答复，一律再行复核",
        "10. Submitted again: every finding answered, always checked again",
    )
    w.clock("2024-09-12")
    w.resubmit(second, "2024-09-12", "台账已补齐", expected=409)
    w.resubmit(second, "2024-09-12", "台账已补齐", "监测设备已更换并联网")
    w.resubmit(objected, "2024-09-12", "除尘设施已与破碎工段联锁")
    w.event(OFFICER, second, "publish", expected=409)
    for case in (second, objected):
        w.check(case, "2024-09-12")
        w.event(OFFICER, case, "publish")
    w.clock("2024-09-21", "00:00")
    w.look(second, "recognised")
    w.look(objected, "recognised")

    w.head("十一、邮件：本市主管收到的", "11. Mail: what the unit's supervisor got")
    w.mails(recipient=f"supervisor.{UNIT}@example.org")

    w.head("十二、审计：何人、何时、何因", "12. The audit: who, when, why")
    history = w.send("auditor", "GET", f"/audit?subject_type=case&subject={objected}&limit=200", 200, note="subject=庚")
    for entry in reversed(history["items"]):
        actor = f"{entry['actor']['name']} ({entry['actor']['role']})"
        reason = f" · {entry['reason']}" if entry["reason"] else ""
        print(f"   {minute(entry['at'])}  {entry['action']:17} {actor}  {entry['hash'][:8]}…{reason}")
    verified = w.send("auditor", "GET", "/audit/verify", 200)
    print(f"   200 ok={verified['ok']} · {verified['entries']} entries · broken={verified['broken']}")
    if not verified["ok"]:
        stop("the audit is broken")


def stop(message: str) -> NoReturn:
    """End the walk with a message and exit code 1."""
    print(message, file=sys.stderr)
    raise SystemExit(1)


def begin(http: httpx.Client, file: Path, language: str) -> Walk:
    """Look whether the service is there, the tokens are its own, and its clock has not left May."""
    if not file.exists():
        stop(f"There are no tokens at {file}: begin the service with `make run`, or say --tokens FILE.")
    tokens = dict(line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines())
    walk = Walk(http, tokens, language)
    try:
        answer = http.get("/api/v1/clock", headers={"Authorization": f"Bearer {tokens['admin']}"})
    except httpx.TransportError as error:
        stop(f"Nobody answers at {http.base_url} ({error}): begin the service with `make run`, or say --url.")
    if answer.status_code != 200:
        stop(f"{http.base_url} does not take the tokens of {file} (status {answer.status_code}): say --tokens FILE.")
    clock = answer.json()
    if clock["mode"] != "virtual" or datetime.fromisoformat(clock["now"]) > datetime.fromisoformat(
        "2024-05-31T12:00+08:00"
    ):
        stop(
            f"The {clock['mode']} clock stands at {clock['now']}, and a walk begins in May 2024. A fresh one:\n{FRESH}"
        )
    headers = {"Authorization": f"Bearer {tokens['admin']}", "Accept-Language": language}
    programme = http.get(f"/api/v1/programmes/{PROGRAMME}", headers=headers).json()
    walk.states = {state["id"]: state["name"] for state in programme["states"]}
    print(f"{programme['title']} · {http.base_url} · {minute(clock['now'])}")
    return walk


def main() -> None:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(description="Walk the 2024 plan by REST against a fresh `make run`.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the service is (%(default)s)")
    parser.add_argument("--tokens", type=Path, default=Path("var/tokens"), help="its tokens (%(default)s)")
    parser.add_argument("--lang", choices=("zh", "en"), default="zh", help="the language of what is printed")
    told = parser.parse_args()
    with httpx.Client(base_url=told.url, timeout=30, trust_env=False) as http:
        walk(begin(http, told.tokens, told.lang))


if __name__ == "__main__":
    main()
