"""Fixtures of the fakes' tests: one process for a whole file, or reset before and after a test."""
import pytest

from fakes_client import Fakes


@pytest.fixture(scope="module")
def fakes():
    running = Fakes()
    yield running
    assert running.stop() == 0


@pytest.fixture
def fresh(fakes):
    fakes.post("/fakes/reset", {})
    yield fakes
    fakes.post("/fakes/reset", {})
