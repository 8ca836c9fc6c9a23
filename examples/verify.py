"""Checks an export of the audit without any of jinji's code: `jinji audit export > audit.ndjson; python3 verify.py audit.ndjson`.

An entry's `hash` is the SHA-256 of the entry without it as canonical JSON (RFC 8785: keys sorted, no spaces, UTF-8); `prev`
is the hash of the entry before it of the same thing. Compare the heads printed here with those that were written down before.
Takes what `GET /audit` streams as NDJSON as well: there an entry has an `id` beside, and `at` in +08:00.
"""

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path


def main() -> None:
    """Check every line of the file that is named; print the head of every thing. Ends with 1 at the first that does not hold."""
    heads: dict[tuple[str, str], str] = {}
    if len(sys.argv) != 2:
        sys.exit("name the file: python3 verify.py audit.ndjson")
    entries = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    if not entries:
        sys.exit(f"{sys.argv[1]} holds no entry")
    for entry in sorted(entries, key=lambda entry: int(entry["version"])):  # an export has the newest first
        said, thing = entry.pop("hash"), (entry["subject"]["type"], entry["subject"]["id"])
        entry.pop("id", None)
        at = datetime.fromisoformat(entry["at"]).astimezone(UTC).replace(tzinfo=None)
        entry["at"] = at.isoformat(timespec="microseconds") + "Z"
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(text.encode()).hexdigest() != said or entry["prev"] != heads.get(thing):
            sys.exit(f"{thing[0]} {thing[1]} version {entry['version']} does not hold")
        heads[thing] = said
    for (kind, name), head in sorted(heads.items()):
        print(kind, name, head)
    print(f"{len(entries)} entries of {len(heads)} things hold")


if __name__ == "__main__":
    main()
