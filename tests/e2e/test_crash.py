"""kill -9 at random moments: one result per task, no acknowledged step is called again, nothing is left over."""
import random
import time
from collections import Counter

import pytest

from places import TIME_FACTOR
from proof import check_history
from records import new_task
from world import events_by_task

CELLS = 1 + 3 + 3 + 1  # of a task here: TaskStarted, three models' and three tools' answers, TaskCompleted


def acknowledged(world):
    """The steps that must never be called again: what Redis holds now, and then how often each step was called so far."""
    done = {k.decode().rpartition(":")[2] for k in world.redis.scan_iter(world.key("done:*"), count=5000)}
    tasks = [k.decode() for k in world.redis.scan_iter(world.key("checkpoint:*"), count=5000)]
    pipeline = world.redis.pipeline(transaction=False)
    for key in tasks:
        pipeline.hkeys(key)
    cells = {(key.rpartition(":")[2], seq.decode()) for key, seqs in zip(tasks, pipeline.execute()) for seq in seqs}
    return {call["key"]: call["count"] for call in world.calls()
            if call["task"] in done or tuple(call["key"].split("/")[:2]) in cells}


def kill_at_random(world, chance, kills, tasks):
    """Two workers; kills one or the other at random moments and starts it again, while tasks come in."""
    workers = [world.start(), world.start()]
    snapshots = []
    for wave in (tasks[i::kills] for i in range(kills)):
        world.submit(*wave)
        time.sleep(chance.uniform(0.3, 5) * TIME_FACTOR)
        victim = chance.randrange(2)
        workers[victim].kill()
        snapshots.append(acknowledged(world))
        workers[victim] = world.start(ready=False)
    return snapshots


@pytest.mark.timeout(400 * TIME_FACTOR)
def test_kill_at_twenty_random_moments(make_world, pytestconfig):
    kills, count = (200, 20000) if pytestconfig.getoption("--long") else (20, 1000)
    world = make_world(partitions=8, fakes=("--model-latency", "100ms..1s", "--tool-latency", "10ms..300ms"))
    seed = random.randrange(1 << 30)
    print("seed", seed)
    tasks = [new_task("Work. [[fake: steps=3 tools=look,look+look]]", f"t-{i}", f"s-{i % 150}") for i in range(count)]
    snapshots = kill_at_random(world, random.Random(seed), kills, tasks)
    world.results.until(count, 150)
    world.settled(30)

    results = Counter(r.data["task_id"] for r in world.results.all())
    assert results == Counter({t["task_id"]: 1 for t in tasks}), "one result per task"
    histories = events_by_task(world.events.all())
    for r in world.results.records:
        assert r.data["status"] == "completed"
        check_history(histories[r.data["task_id"]], r.data)

    calls = {call["key"]: call for call in world.calls()}
    assert world.fakes.get("/fakes/stats")["keys"]["forgotten"] == 0
    assert len(calls) == (3 + 3) * count, "three models' and three tools' calls for each task; the same keys after a crash"
    assert sum(len(s) for s in snapshots) > kills, "there were acknowledged steps to look at"
    for snapshot in snapshots:
        again = {key: (n, calls[key]["count"]) for key, n in snapshot.items() if calls[key]["count"] != n}
        assert not again, "acknowledged steps were called again"
    print("steps", len(calls), "calls", sum(c["count"] for c in calls.values()), "answered", sum(c["answered"] for c in calls.values()))
    assert sum(c["count"] for c in calls.values()) > len(calls), "some kill cut a call off"
    assert max(c["answered"] for c in calls.values()) <= 1 + 3, "no step is called again and again"
    assert not world.dlq.all()
    # A worker killed between its commit and the clean-up behind it leaves whole histories, which run out by themselves (DELIVERY §2).
    left = {key: world.redis.hlen(key) for key in world.redis.scan_iter(world.key("checkpoint:*"), count=5000)}
    assert set(left.values()) <= {CELLS}, "only unfinished tasks, and those settled at a kill, hold a checkpoint"
    assert len(left) <= kills * 20
