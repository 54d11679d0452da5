"""Many sessions at once over many partitions: order per key, one result per task, whole histories."""
from collections import defaultdict

from proof import check_history
from records import new_task
from world import events_by_task

SESSIONS, TASKS, PARTITIONS = 200, 20, 8


def test_order_per_key_holds_and_every_history_is_whole(make_world):
    world = make_world(partitions=PARTITIONS, fakes=("--model-latency", "1ms..60ms", "--tool-latency", "0..20ms"),
                       agents={"search": {"max_in_flight": 400, "session_memory": False}})
    world.start()
    tasks = [new_task(f"Task {n} of {s}. [[fake: answer=\"{s}-{n}\"]]", f"{s}-{n}", f"session-{s}")
             for n in range(TASKS) for s in range(SESSIONS)]
    world.submit(*tasks)
    world.results.until(len(tasks), 120)
    world.settled()

    by_session = defaultdict(list)
    for r in world.results.all():
        by_session[r.data["session_id"]].append(r)
    for s in range(SESSIONS):
        found = by_session[f"session-{s}"]
        assert [r.data["task_id"] for r in found] == [f"{s}-{n}" for n in range(TASKS)]
        assert [r.data["output"] for r in found] == [f"{s}-{n}" for n in range(TASKS)]
        assert len({r.partition for r in found}) == 1
    assert {r.data["status"] for r in world.results.records} == {"completed"}

    histories = events_by_task(world.events.all())
    assert len(histories) == len(tasks)
    for r in world.results.records:
        check_history(histories[r.data["task_id"]], r.data)
    assert not world.dlq.all()
    leftover = [k for k in world.redis.scan_iter(world.key("checkpoint:*"), count=1000)]
    assert not leftover, "only unfinished tasks hold a checkpoint"
