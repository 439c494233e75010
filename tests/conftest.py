"""Hypothesis' profiles and what all tests share.

`HYPOTHESIS_PROFILE=deep` looks for longer, each time elsewhere, and without a time limit; the usual profile finds the
same every time.
"""

import os

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "ci",
    max_examples=40,
    derandomize=True,
    deadline=None,
    # laws about rare moments throw most others away
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
hypothesis.settings.register_profile(
    "deep",
    max_examples=1000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.data_too_large,
        hypothesis.HealthCheck.filter_too_much,
    ],
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
hypothesis.settings.load_profile(PROFILE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what comes out as what is wanted")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PROFILE == "deep" and "property" in item.path.parts:
            item.add_marker(pytest.mark.timeout(0))
