"""The house itself: what must hold of the code, the programmes, the settings and the migrations as a whole."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from service import errors
from service.api.errors import STATUS
from service.settings import setting_names
from workflows.effects import EFFECTS
from workflows.events import KINDS
from workflows.guards import GUARDS
from workflows.lifecycle import Lifecycle
from workflows.programme import packaged_sources
from workflows.programme_checks import load

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("service", "workflows", "notifications")
SOURCES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
LAW_TESTS = [
    *sorted((ROOT / "tests" / "workflows").glob("test_*.py")),
    *sorted((ROOT / "tests" / "service").glob("test_*.py")),
]


@pytest.mark.parametrize("name", packaged_sources())
def test_every_packaged_programme_loads_and_builds_a_machine(name: str) -> None:
    programme = load(packaged_sources()[name])
    assert programme.id == name
    assert Lifecycle(programme).diagram().startswith("---")


def test_every_kind_of_event_has_its_data_and_its_effect() -> None:
    assert set(KINDS) == set(EFFECTS)


def test_every_kind_of_event_and_of_guard_is_used_by_a_packaged_programme() -> None:
    programmes = [load(source) for source in packaged_sources().values()]
    kinds = {event.kind for programme in programmes for event in programme.events}
    guards = {
        use.guard
        for programme in programmes
        for event in programme.events
        for use in (*event.guards, *(use for move in event.moves for use in move.guards))
    }
    assert kinds == set(KINDS)
    assert guards == set(GUARDS)


def test_every_clause_of_a_programme_is_named_by_a_test() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in LAW_TESTS)
    named = {clause.upper() for clause in re.findall(r"def test_([a-z][0-9])_", text)}
    clauses = {clause.id for source in packaged_sources().values() for clause in load(source).clauses}
    assert clauses - named == set()


def test_every_error_is_in_the_status_table() -> None:
    classes = {
        node.name
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in _refusals() for base in node.bases)
    }
    told = {error.__name__ for error in STATUS}
    never_answered = {"ClockMismatch", "Replayed", "NotApplied"}
    assert classes - told == never_answered


def _refusals() -> set[str]:
    return {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_setting_stands_in_the_readme(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert [name for name in setting_names() if name not in text] == []


def test_there_is_one_alembic_head() -> None:
    assert len(ScriptDirectory(str(ROOT / "alembic")).get_heads()) == 1
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_every_runtime_dependency_has_a_line_in_the_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    names = [re.split(r"[<>=\[;]", line)[0].strip() for line in project["dependencies"]]
    assert [name for name in names if f"`{name}`" not in decisions] == []


def test_requirements_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links|file:", text)


def test_only_the_storage_commits() -> None:
    commits = [
        str(file.relative_to(ROOT))
        for file in SOURCES
        if re.search(r"\.commit\(\)|\.begin\(\)", file.read_text(encoding="utf-8"))
    ]
    assert commits == ["service/storage/db.py"]


def test_a_blanket_except_stands_only_in_the_loops_that_must_outlive_any_fault() -> None:
    found = [str(file.relative_to(ROOT)) for file in SOURCES if "except Exception" in file.read_text(encoding="utf-8")]
    loops = ("notifications/delivery.py", "service/scheduler.py", "service/writer.py", "service/storage/attempts.py")
    assert set(found) == set(loops)


def test_no_rule_of_henan_stands_in_the_code() -> None:
    """Dates, units, grades and states of a plan are data of its file."""
    programme = load(packaged_sources()["henan-2024"])
    names = {f'"{state.id}"' for state in programme.states}
    names |= {f'"{unit.code}"' for unit in programme.units} | {f'"{industry.id}"' for industry in programme.industries}
    names |= {f'"{grade.id}"' for grade in programme.grades if len(grade.id) > 2}
    names |= {"2024-12-20", "12, 20", "henan"} | {f'"{clause.id}"' for clause in programme.clauses}
    names -= {'"other"'}  # an industry, and a kind of request as the contract names it
    allowed = {
        "service/sample.py", "service/api/openapi.py", "service/api/examples.py", "service/api/examples_owed.py",
    }  # fmt: skip
    texts = {str(file.relative_to(ROOT)): _code(file) for file in SOURCES}
    found = {(file, name) for file, text in texts.items() if file not in allowed for name in names if name in text}
    assert found == set()


def _code(file: Path) -> str:
    """The text of a module without its comments and docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).replace("'", '"')
