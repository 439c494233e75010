"""docs/failure-modes.md: what it refers to is there. Names of tests move; a table that lies is worse than none."""

import ast
import re
from pathlib import Path

import pytest

from kit.bench.faults import FAULTS

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs/failure-modes.md").read_text()

TEST = re.compile(r"`([\w/]+\.py)::(\w+)`(?: \[([^\]]+)\])?")
"""A test by file and name, and perhaps a case of its table."""
BENCH, GOLDEN = re.compile(r"`bench: ([^`]+)`"), re.compile(r"`golden: ([^`]+)`")
ROW = re.compile(r"^\| F(\d\d) \|.*\| ([^|]+) \|$", re.MULTILINE)
EVIDENCE = (TEST, BENCH, GOLDEN)


@pytest.mark.parametrize(("file", "name", "case"), sorted(set(TEST.findall(TEXT))))
def test_a_test_that_is_named_is_there(file: str, name: str, case: str) -> None:
    source = (TESTS / file).read_text()
    tree = ast.parse(source)
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not case or case in {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_a_fault_of_the_bench_that_is_named_is_there() -> None:
    assert set(BENCH.findall(TEXT)) <= FAULTS.keys()


def test_a_golden_case_that_is_named_is_there() -> None:
    assert set(GOLDEN.findall(TEXT)) <= {path.stem for path in (TESTS / "golden/cases").glob("*.yaml")}


def test_nothing_that_looks_like_a_test_is_overlooked() -> None:
    assert len(TEST.findall(TEXT)) == TEXT.count("::test_")


def test_every_fault_from_1_to_27_has_a_row_with_a_test_or_a_reason() -> None:
    rows = ROW.findall(TEXT)
    assert [int(number) for number, _ in rows] == list(range(1, 28))
    assert [n for n, shown in rows if not (any(e.search(shown) for e in EVIDENCE) or "not yet" in shown)] == []
