"""A worker that ends or stands still in the middle of a transaction: nothing of it is ever seen, and others go on in its place."""
import signal
import time
from collections import Counter

import pytest
from confluent_kafka import Consumer, TopicPartition

from load import Load
from places import TIME_FACTOR
from proof import check_history
from records import new_task
from test_crash import acknowledged
from test_rebalance import SESSION, check_gap, share
from worker import wait_for

TRANSACTION = 20 + 10  # transaction.timeout.ms, and how often the broker looks for those that ran out
GROUP = "[[fake: steps=2 tools=book+look+look tool_latency.book=8s tool_latency.look=8s tokens=10+10]]"


class Ends:
    """The last committed and the last written offset of the results' partitions."""

    def __init__(self, world):
        self.topic = world.topic("results")
        self.consumers = [Consumer({"bootstrap.servers": world.broker, "group.id": f"{world.name}-ends", "isolation.level": level})
                          for level in ("read_committed", "read_uncommitted")]
        self.partitions = [TopicPartition(self.topic, p) for p in self.consumers[0].list_topics(self.topic, 20).topics[self.topic].partitions]

    def open(self):
        """Where a transaction is open: partition → last stable offset."""
        found = {}
        for p in self.partitions:
            stable, written = (c.get_watermark_offsets(p, timeout=20)[1] for c in self.consumers)
            if written > stable:
                found[p.partition] = stable
        return found

    def stuck(self):
        """Whether a transaction stays open: those of a worker that runs end within a fraction of a second."""
        first = self.open()
        time.sleep(0.5 if first else 0)
        now = self.open() if first else {}
        return any(now.get(p) == stable for p, stable in first.items())

    def written(self):
        """All records that were ever written, aborted ones too: (partition, offset)."""
        reader, places = self.consumers[1], []
        left = {p.partition: reader.get_watermark_offsets(p, timeout=20)[1] for p in self.partitions}
        reader.assign([TopicPartition(self.topic, p, 0) for p in left])
        quiet = time.monotonic() + 3
        while time.monotonic() < quiet:  # control records are not handed out, so there is no last one to wait for
            found = [(m.partition(), m.offset()) for m in reader.consume(500, 0.2) if not m.error()]
            if found:
                places, quiet = places + found, time.monotonic() + 1
        return places

    def close(self):
        for consumer in self.consumers:
            consumer.close()


@pytest.fixture
def ends(world):
    ends = Ends(world)
    yield ends
    ends.close()


def stop_inside_a_transaction(ends, worker):
    """SIGSTOP at a moment when it has results in an open transaction."""
    for _ in range(200):
        worker.signal(signal.SIGSTOP)
        if ends.stuck():
            time.sleep(1)  # what it sent is on its way to Redis and to the fakes, which count it when they come to it
            return
        worker.signal(signal.SIGCONT)
        time.sleep(0.013)
    raise AssertionError("no transaction was ever open")


def in_flight(world):
    """Keys of the calls whose answers have not been acknowledged."""
    done = acknowledged(world)
    return {c["key"] for c in world.calls() if c["key"] not in done}, done


@pytest.fixture
def world(make_world):
    tools = {"look": {"timeout_ms": 12000}, "book": {"repeatable": False, "timeout_ms": 12000}}
    return make_world(tools=tools, agents={"search": {"tools": list(tools), "session_memory": False}})


def check_groups(world, tasks):
    """One result and one chain each; what must not be called twice was not."""
    outcomes = Counter()
    for task in tasks:
        result, history = world.result_of(task), world.history_of(task)
        assert (result["status"], result["steps_used"]) == ("completed", 2)
        check_history(history, result)
        answers = [e.body for e in history if e.kind == "ToolAnswered"]
        outcomes.update((a["name"], a["outcome"]) for a in answers)
        assert {a["outcome"] for a in answers if a["name"] == "look"} == {"ok"}
        assert [c["count"] for c in world.calls(task) if c["name"] == "book"] == [1], "called once, whatever became of the caller"
    return dict(outcomes)


@pytest.mark.timeout(300 * TIME_FACTOR)
def test_a_zombie_past_both_timeouts(world, ends):
    """Stopped with a transaction open and groups of tools in flight, woken when its membership and its transaction have run out.
    Measured: 14 results in its transaction never seen; 18 calls in flight, 12 made again, the six of the tool that must not be repeated
    not; the partitions with the open transaction stood still for 30.4 s (20 s it may take, and the broker looks every 10 s)."""
    first = world.start()
    groups = [new_task(GROUP) for _ in range(6)]
    with Load(world, every=0.05, partitions=[0, 1]) as load:
        time.sleep(1)
        for n, task in enumerate(groups):
            world.submit(task, partition=2 + n % 2)
        wait_for("18 tool calls", 20, lambda: sum(c["kind"] == "tool" for t in groups for c in world.calls(t)) == 18)
        stop_inside_a_transaction(ends, first)
        since = time.time()
        flying, done = in_flight(world)
        books = {c["key"] for task in groups for c in world.calls(task) if c["name"] == "book"}
        assert done and len(books) == len(groups) and books <= flying, "stopped while the tools were under way"
        second = world.start(ready=False)
        second.wait_log("kafka.partition.assigned", 40)
        time.sleep(max(0, since + TRANSACTION + 3 - time.time()))
        assert not ends.stuck(), "its transaction is aborted by now"
        gap = check_gap(load, since, 33, "nobody in its place")
        first.signal(signal.SIGCONT)
        woken = time.time()
        share([first, second], world.partitions)
        after = load.until_recovered(woken, 60)
        load.finish()
    world.settled(60)
    outcomes = check_groups(world, groups)
    load.check()

    aborted = set(ends.written()) - {(r.partition, r.offset) for r in world.results.all()}
    assert aborted, "it was stopped with results in an open transaction"
    calls = {c["key"]: c["count"] for c in world.calls()}
    again = {key for key, count in calls.items() if count > 1}
    assert not {key for key, count in done.items() if calls[key] != count}, "acknowledged steps were called again"
    assert again <= flying and all(calls[key] == 2 for key in again), "at most the calls in flight are wasted"
    assert len(world.results.records) == len(load.tasks) + len(groups)
    assert not world.dlq.all()
    assert first.lines("worker.was_stopped") or first.lines("kafka.rebalance", kind="lost")
    print(f"stopped for {woken - since:.0f} s: {len(aborted)} results of it never seen, {len(flying)} calls in flight, {len(again)} made "
          f"again; gap {gap:.1f} s; tools: {outcomes}; as before {after:.1f} s after it woke")


@pytest.mark.timeout(300 * TIME_FACTOR)
def test_a_worker_that_dies_inside_a_transaction_and_is_not_replaced(world, ends):
    """The others wait for the broker to abort what it left open, and no longer. Measured: gap 23.2 s, recovered after 26.1 s."""
    workers = [world.start() for _ in range(3)]
    share(workers, world.partitions)
    with Load(world, every=0.05) as load:
        time.sleep(2)
        stop_inside_a_transaction(ends, workers[0])
        since = time.time()
        workers[0].kill()
        _, done = in_flight(world)
        wait_for("the others have all", 60, lambda: sum(w.metric("stepmill_partitions_owned") for w in workers[1:]) == world.partitions)
        load.until_recovered(since, 90)
        load.finish()
    again = load.check()
    check_gap(load, since, 33, "killed inside a transaction, not replaced")
    print(f"{len(load.tasks)} tasks, {len(again)} calls made again; recovered after {load.recovered_after(since):.1f} s")
    assert SESSION - 1 < load.longest_gap(since)[0]
    assert not [c for c in again if c["key"] in done], "acknowledged steps were called again"
