"""Fixtures of the end-to-end tests: a world per test (or per file), stopped and checked at its end."""
import re
import uuid

import pytest

from places import TIME_FACTOR
from world import World


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="sizes for a run by hand: ten minutes where CI takes thirty seconds")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs only with --long")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout((1800 if config.getoption("--long") else 150) * TIME_FACTOR, method="signal"))
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="only with --long"))


def name_for(request):
    """Topics, group and Redis keys of a test begin with this; no other test, of this run or another, has it."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removesuffix(".py").lower()).strip("-")
    return f"e2e-{words[:40]}-{uuid.uuid4().hex[:8]}"


def make_factory(request, folder):
    made = []

    def make(create=True, **settings):
        world = World(f"{name_for(request)}{len(made) or ''}", folder / str(len(made)), **settings)
        made.append(world)
        if create:
            world.create()
        return world

    yield make
    troubles = [trouble for world in reversed(made) for trouble in world.close()]
    assert not troubles, "\n".join(troubles)


@pytest.fixture
def make_world(request, tmp_path):
    """Makes worlds with settings of their own."""
    yield from make_factory(request, tmp_path)


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture(scope="module")
def driver():
    """A browser for a file's tests. It is not there: they fail, for then nobody looked at the dashboard."""
    from browser import start_chromium
    made = start_chromium()
    yield made
    made.quit()


@pytest.fixture(scope="module")
def make_shared_world(request, tmp_path_factory):
    """For files whose tests share one worker."""
    yield from make_factory(request, tmp_path_factory.mktemp("shared"))
