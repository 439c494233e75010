"""What the shape of the repository promises: where code lies, what it may import, what must never be committed."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "operator"
PACKAGE = SOURCES / "heteroserve"
MODULES = sorted(PACKAGE.rglob("*.py"))
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))

PRIVATE_PATH = re.compile(rb"(?<![\w.-])[/](root|work|home)[/]")
"""A path that exists on one developer's machine; written so that this file does not hold one itself."""
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ;.*?)?( --hash=sha256:[0-9a-f]{64})+")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_source_root_is_no_package() -> None:
    outside = [relative(p) for p in SOURCES.rglob("*.py") if not p.is_relative_to(PACKAGE)]
    assert outside == [], "operator/ would shadow the standard library's module of that name"


@pytest.mark.parametrize("module", [m for m in MODULES if m.name != "__init__.py"], ids=relative)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_kopf_is_imported_in_one_file() -> None:
    importing = [relative(m) for m in MODULES if "kopf" in imported_packages(m)]
    assert importing == ["operator/heteroserve/handlers.py"]


def imported_packages(module: Path) -> set[str]:
    """The top names of all imports, those inside functions too."""
    nodes = list(ast.walk(ast.parse(module.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    given = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | given}


@pytest.mark.parametrize("file", REQUIREMENTS, ids=relative)
def test_requirements_name_no_address(file: Path) -> None:
    assert "://" not in file.read_text()


@pytest.mark.parametrize("file", REQUIREMENTS, ids=relative)
def test_every_requirement_is_pinned_by_hashes(file: Path) -> None:
    lines = (re.sub(r"\s+", " ", line).strip() for line in joined(file.read_text()).splitlines())
    unpinned = [line for line in lines if line and not line.startswith("#") and not PINNED.fullmatch(line)]
    assert unpinned == []


def joined(text: str) -> str:
    """Continued lines as one."""
    return re.sub(r"\\\n", " ", text)


def test_there_are_requirements_to_look_at() -> None:
    assert [f.name for f in REQUIREMENTS] == ["requirements-dev.txt", "requirements.txt"]


def test_no_file_names_a_folder_of_one_developers_machine() -> None:
    telling = [
        f"{relative(path)}:{number}: {line.strip().decode(errors='replace')}"
        for path in files_of_git()
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        if PRIVATE_PATH.search(line)
    ]
    assert telling == []


def files_of_git() -> list[Path]:
    """Every file that is, or with the next commit would be, in git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in sorted({n for n in names if n}) if (path := ROOT / name).is_file()]
