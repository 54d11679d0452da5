"""Outages of half a minute and longer under a steady load: every task waits and completes; it prints how long it took to recover.

Measured with --long, two busy cores, 20 tasks a second: Redis 30 s, 604 tasks waited, all as before 4.0 s after its end; registry 30 s,
the task with the unknown schema done after 5.2 s, no other waited; model 60 s, 1,204 tasks waited, 4.7 s."""
import time

import pytest

from load import Load
from places import REGISTRY, TIME_FACTOR
from records import new_task
from services import OwnRedis, Proxy, address_of
from test_outages import unknown_to_the_worker

SECONDS = 30
RECOVERS = 10  # seconds after an outage's end within which all is as before, but for waits that the config names


def outage(world, begin, end, seconds, recovers=RECOVERS, waits=True):
    """Takes a service away for so long, for which tasks wait; returns the load, which is finished and checked, and the moment the outage began."""
    with Load(world, every=0.2) as load:
        time.sleep(3)
        since = time.time()
        begin()
        time.sleep(seconds)
        missing = len(load.tasks) - sum(load.done().values())
        over = time.time()
        end()
        took = load.until_recovered(over, 90)
        load.finish()
    again = load.check()
    assert not waits or missing > seconds * world.partitions, "nobody missed it"
    print(f"gone for {seconds} s: {len(load.tasks)} tasks, {missing} waited; recovered {took:.1f} s after its end; {len(again)} calls made again")
    if TIME_FACTOR == 1:
        assert took <= recovers
    assert world.workers[0].get("/readyz")[0] == 200
    return load, since, again


def test_redis_is_gone(make_world, tmp_path):
    """Killed; its data is there again afterwards. What was answered meanwhile is kept in memory and saved then."""
    own = OwnRedis(tmp_path)
    client = own.client()
    world = make_world(redis={"url": own.url})
    world.redis.close()
    world.redis = client
    world.closers.append(own.stop)
    world.start()
    _, _, again = outage(world, own.stop, own.start, SECONDS)
    assert not [c for c in again if c["answered"] > 1], "an answer is not asked for twice"


def test_the_registry_is_gone_while_an_unknown_schema_waits(make_world):
    host, port = address_of(REGISTRY)
    proxy = Proxy((host, port))
    world = make_world(schema_registry={"url": REGISTRY.replace(f":{port}", f":{proxy.port}")})
    world.closers.append(proxy.close)
    worker = world.start()
    unknown = new_task("[[fake: steps=2 tools=look]]")
    record = unknown_to_the_worker(world, unknown)

    over = None

    def begin():
        proxy.down()
        world.writer.send(world.tasks_topic(), "s-unknown", record)

    def end():
        nonlocal over
        assert worker.metric("stepmill_tasks", state="fetching") + worker.metric("stepmill_tasks", state="waiting") >= 1
        over = time.time()
        proxy.up()

    load, since, again = outage(world, begin, end, SECONDS, waits=False)
    result = world.result_of(unknown)
    assert result["status"] == "completed"
    print(f"the task with the unknown schema was done {result['finished_at'].timestamp() - over:.1f} s after the registry was back")
    assert load.longest_gap(since)[0] < 5 or TIME_FACTOR > 1, "what is known needs no registry"
    assert not again


@pytest.mark.timeout(300 * TIME_FACTOR)
def test_the_model_answers_503(make_world, pytestconfig):
    """For 60 s with the config's defaults by --long; for 15 s else, with a breaker that tries sooner."""
    long = pytestconfig.getoption("--long")
    world = make_world(retry=None, breaker=None if long else {"open": "5s"})
    world.start()
    outage(world, lambda: world.fakes.post("/fakes/faults", {"model": {"status": 503}}),
           lambda: world.fakes.post("/fakes/faults", {"model": None}), 60 if long else 15, RECOVERS + (30 if long else 5))
