"""What is finished above the watermark: one stuck task at the head, many stuck tasks in between, and a house that is full of them."""
import time

import pytest

from finished import committed
from places import REGISTRY, TIME_FACTOR, schema_text
from records import new_task
from services import HoldingRegistry
from worker import wait_for

LONG = pytest.mark.long
MANY = 24000


def finish(worker, end):
    if end == "SIGTERM":
        worker.stop(seconds=30)
    else:
        worker.kill()


def model_calls(world, without=""):
    """How often each model call came to the fakes."""
    return {c["key"]: c["count"] for c in world.calls("") if c["task"] != without}


def result_ids(world):
    """task_ids of all results; none may be there twice."""
    ids = [r.data["task_id"] for r in world.results.records]
    assert len(ids) == len(set(ids)), "a result is there twice"
    return set(ids)


@pytest.mark.parametrize("end", [pytest.param("SIGTERM", marks=LONG), "kill -9"])
@pytest.mark.timeout(600 * TIME_FACTOR)
def test_thousands_finish_behind_one_stuck_task(make_world, end):
    """One run in the metadata, no pause; after the restart only the stuck one runs. Measured: metadata of 24 characters, the 24,000
    in 12 to 31 s on two busy cores."""
    world = make_world(partitions=1, models={"primary": {"timeout": "11m"}}, worker={"drain_timeout": "1s"},
                       agents={"search": {"session_memory": False, "max_waiting": 2 * MANY}})
    worker = world.start()
    stuck = new_task("[[fake: steps=1 latency=600s]]", "stuck")
    world.submit(stuck)
    wait_for("its call", 20, lambda: world.calls(stuck))
    began = time.monotonic()
    for first in range(0, MANY, 2000):
        world.submit(*[new_task("[[fake: steps=1]]", f"t-{n}") for n in range(first, first + 2000)])
        assert worker.metric("stepmill_partitions_paused") == 0
    while len(world.results.records) < MANY:
        world.results.poll(1)
        assert worker.metric("stepmill_partitions_paused") == 0
    print(f"{MANY} behind a stuck one: {time.monotonic() - began:.1f} s")
    wait_for("all committed", 20, lambda: len(committed(world).above) == MANY)
    found = committed(world)
    assert (found.watermark, found.runs) == (0, 1)
    print(f"metadata: {len(found.metadata)} characters")
    assert len(found.metadata) < 40

    calls = model_calls(world, without="stuck")
    finish(worker, end)
    assert world.lag() == MANY + 1
    for key in list(world.redis.scan_iter(world.key("done:*"), count=5000)):
        world.redis.unlink(key)  # from now on only the finished set knows
    world.fakes.post("/fakes/faults", {"model": {"latency": f"{int(10 * TIME_FACTOR)}s"}})
    worker = world.start()
    wait_for("its call again", 20, lambda: world.calls(stuck)[0]["count"] == 2)
    found = committed(world)
    assert (found.watermark, found.runs, len(found.above)) == (0, 1, MANY), "one run still"
    assert worker.metric("stepmill_partitions_paused") == 0
    assert world.result_of(stuck, 60)["status"] == "completed"
    world.settled(60)
    world.results.all()
    assert len(result_ids(world)) == MANY + 1
    assert model_calls(world, without="stuck") == calls, "none of those that were finished ran again"


class EveryThirdStuck:
    """Partition 0, in which every third record has a schema that the registry cannot tell; partition 1 is as usual."""

    def __init__(self, make_world, waiting):
        self.registry = HoldingRegistry(REGISTRY)
        self.world = make_world(
            partitions=2, schema_registry={"url": self.registry.url}, worker={"drain_timeout": "1s"},
            agents={"search": {"session_memory": False, "max_in_flight": 10000, "max_waiting": 2 * waiting}})  # for two partitions
        self.world.closers.append(self.registry.close)
        self.other_id = self.world.schemas.register(f"{self.world.name}-other", schema_text("AgentTaskEvent").replace(
            '"type": "record"', f'"type": "record", "doc": "{self.world.name}"', 1))
        assert self.other_id != self.world.task_schema_id()
        self.registry.held.add(self.other_id)
        self.count = self.beside = 0

    def submit(self, count):
        """Task t-N lies at offset N."""
        world = self.world
        for n in range(self.count, self.count + count):
            value = world.encode(new_task("[[fake: steps=1]]", f"t-{n}"))
            if n % 3 == 0:
                value = b"\0" + self.other_id.to_bytes(4, "big") + value[5:]
            world.writer.send(world.tasks_topic(), f"s-{n}", value, partition=0)
        world.writer.flush()
        self.count += count

    def submit_beside(self):
        """The other partition goes on, however full the house is."""
        tasks = [new_task("[[fake: steps=1]]", f"u-{self.beside + n}") for n in range(20)]
        self.beside += len(tasks)
        self.world.submit(*tasks, partition=1)
        self.world.results.until(lambda _: all(self.world.results.of_task(t["task_id"]) for t in tasks))

    def until_still(self, least, seconds=180):
        """Waits until no more results come, and returns what is committed: exactly their offsets."""
        results = self.world.results
        results.until(lambda _: len(results.records) >= least, seconds)
        still = seen = 0
        while still < 3:
            results.poll(1)
            still = still + 1 if len(results.records) == seen else 0
            seen = len(results.records)
        found = committed(self.world)
        ids = {i for i in result_ids(self.world) if i.startswith("t-")}
        assert {f"t-{n}" for n in range(self.count) if found.has(n)} == ids
        print(f"{time.strftime('%X')} {len(found.metadata)} characters, {len(found.above)} finished")
        return found


@pytest.mark.parametrize("waiting,end", [
    (4000, "SIGTERM"), pytest.param(4000, "kill -9", marks=LONG), pytest.param(12000, "SIGTERM", marks=LONG), (12000, "kill -9")])
@pytest.mark.timeout(600 * TIME_FACTOR)
def test_every_third_offset_is_stuck(make_world, waiting, end):
    """Past 3,072 characters of metadata the partition pauses; what is still waiting may use the room up to 4,000, and past that
    finished results wait. No bit is dropped, by a restart neither. Measured on two busy cores: 4,000 characters hold 15,920 finished
    among 23,880 offsets; 27 to 35 s in all."""
    third = EveryThirdStuck(make_world, waiting)
    world = third.world
    worker = world.start()
    third.submit(36000)
    found = third.until_still(12000)
    assert found.watermark == 0
    assert worker.metric("stepmill_partitions_paused") == 1
    assert len(found.metadata) > 3072
    assert found.above and max(found.above) < third.count - 3, "it has not read to the end"
    third.submit_beside()
    transactions = worker.metric("stepmill_transactions_total")
    time.sleep(2)
    assert worker.metric("stepmill_transactions_total") - transactions < 5, "what does not fit is not tried for ever"

    calls = model_calls(world)
    finish(worker, end)
    worker = world.start()
    third.submit_beside()
    third.until_still(0)
    assert worker.metric("stepmill_partitions_paused") == 1
    assert {k: n for k, n in model_calls(world).items() if k in calls} == calls, "what is stored or finished is not paid for again"
    third.registry.held.clear()
    world.results.until(third.count + third.beside, 180)
    world.settled(60)
    world.results.all()
    assert result_ids(world) == {f"t-{n}" for n in range(third.count)} | {f"u-{n}" for n in range(third.beside)}
    assert worker.metric("stepmill_partitions_paused") == worker.metric("stepmill_records_waiting") == 0
    assert not world.dlq.all()


@pytest.mark.parametrize("meanwhile", ["nothing", "SIGTERM", "kill -9", "a second worker", "a second worker that goes again"])
def test_a_full_house_outlives_an_outage(make_world, meanwhile):
    """Every slot is held by a task that waits for the model, every partition is full and paused, and yet nothing is locked."""
    slots, partitions, count = 5, 4, 300
    world = make_world(partitions=partitions, breaker={"failures": 5, "open": "300ms"}, worker={"drain_timeout": "1s"},
                       agents={"search": {"session_memory": False, "max_in_flight": slots, "max_waiting": 20}})
    workers = [world.start()]
    world.one("[[fake: steps=1]]")
    world.fakes.post("/fakes/faults", {"model": {"status": 503}})
    tasks = [new_task("[[fake: steps=1]]", f"t-{n}", f"s-{n % 13}") for n in range(count)]
    world.submit(*tasks)
    wait_for("a full house", 20, lambda: workers[0].metric("stepmill_partitions_paused") == partitions)
    wait_for("all slots taken", 20, lambda: workers[0].metric("stepmill_tasks") >= slots)
    time.sleep(1)
    assert workers[0].metric("stepmill_tasks") <= slots + partitions, "limits hold, but for the heads of the partitions"
    # One of them may be asking the model just now whether it is back.
    wait_for("all of them wait", 20, lambda: workers[0].metric("stepmill_tasks", state="waiting") >= slots)

    if meanwhile.startswith("a second worker"):
        workers.append(world.start(ready=False))
        workers[1].wait_log("kafka.partition.assigned", 40)
        if meanwhile.endswith("goes again"):  # its partitions were paused when the first one gave them away
            finish(workers.pop(), "SIGTERM")
    elif meanwhile != "nothing":
        finish(workers.pop(), meanwhile)
        workers.append(world.start(ready=False))
    wait_for("a full house again", 40, lambda: sum(w.metric("stepmill_partitions_paused") for w in workers) == partitions)
    assert len(world.results.all()) == 1 and not world.dlq.all()
    world.fakes.post("/fakes/faults", {"model": None})
    world.results.until(count + 1, 60)
    world.settled()
    result_ids(world)
    assert not world.dlq.all()
    for s in range(13):
        found = [r.data["task_id"] for r in world.results.records if r.data["session_id"] == f"s-{s}"]
        assert found == [f"t-{n}" for n in range(count) if n % 13 == s], "results of a key leave in the order its records came in"
    for worker in workers:
        assert worker.metric("stepmill_partitions_paused") == worker.metric("stepmill_records_waiting") == 0
