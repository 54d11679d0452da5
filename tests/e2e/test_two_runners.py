"""Two processes run the same task at once, with tools in flight that must not be called twice: one adopts what the other did."""
import signal
import time

import pytest

from places import TIME_FACTOR
from proof import check_history
from records import new_task
from worker import wait_for

BOTH = "[[fake: steps=2 tools=book+look+pay+look tool_latency.book=9s tool_latency.pay=9s tool_latency.look=1s tokens=10+10]]"


@pytest.fixture
def world(make_world):
    tools = {"book": {"repeatable": False, "timeout_ms": 20000}, "pay": {"repeatable": False, "timeout_ms": 20000},
             "look": {"timeout_ms": 20000}}
    return make_world(partitions=1, tools=tools,
                      agents={"search": {"tools": list(tools), "session_memory": False}})


def in_flight(world, worker):
    """A task whose four tool calls are all under way."""
    task = new_task(BOTH)
    world.submit(task)
    wait_for("four calls", 20, lambda: len([c for c in world.calls(task) if c["kind"] == "tool"]) == 4)
    assert worker.metric("stepmill_partitions_owned") == 1
    return task


def check(world, task, outcomes):
    """One result, one chain, and what must not be called twice was not."""
    result = world.result_of(task, 60)
    assert (result["status"], result["steps_used"]) == ("completed", 2)
    world.settled()
    assert len(world.results.all()) == 1
    history = world.history_of(task)
    check_history(history, result)
    answers = [e.body for e in history if e.kind == "ToolAnswered"]
    assert [a["outcome"] for a in answers if a["name"] == "look"] == ["ok", "ok"]
    assert {a["outcome"] for a in answers if a["name"] != "look"} <= outcomes
    counts = {(c["name"], c["count"]) for c in world.calls(task) if c["kind"] == "tool" and c["name"] != "look"}
    assert counts == {("book", 1), ("pay", 1)}, "called once, whatever became of the caller"
    assert sum(c["count"] for c in world.calls(task) if c["kind"] == "model") == 2
    return answers


@pytest.mark.timeout(200 * TIME_FACTOR)
def test_who_wakes_up_gives_its_answers_to_who_took_over(world):
    """Stopped for longer than its membership; the answers of its tools come meanwhile. The other waits for claims, not for ever."""
    first = world.start()
    task = in_flight(world, first)
    begin = time.monotonic()
    first.signal(signal.SIGSTOP)
    second = world.start()
    second.wait_log("agent.checkpoint.restored", 30, task_id=task["task_id"])
    time.sleep(max(0, begin + 11 - time.monotonic()))  # book and pay have answered
    assert not world.results.of_task(task["task_id"])
    first.signal(signal.SIGCONT)
    check(world, task, {"ok", "unknown"})
    first.wait_log("kafka.partition.released", 20, orderly=False)


@pytest.mark.timeout(200 * TIME_FACTOR)
def test_what_a_dead_worker_had_in_flight_is_unknown_and_not_repeated(world):
    first = world.start()
    task = in_flight(world, first)
    first.kill()
    second = world.start()
    begin = second.wait_log("agent.checkpoint.restored", 30, task_id=task["task_id"])
    answers = check(world, task, {"unknown"})
    assert begin and all("not be repeated" in a["content"] for a in answers if a["outcome"] == "unknown")


def test_two_members_that_both_think_the_partition_is_theirs(world):
    """The same record read by two groups' workers over one Redis: as a zombie that never learns. Each call is one runner's."""
    other = world.write_config("other.yaml", kafka={"group.id": f"{world.name}-other"})
    for config in (world.config, other):
        world.start(config)
    task = new_task(BOTH)
    world.submit(task)
    world.settled(60)
    wait_for("the other group is through", 60, lambda: world.stepmill("lag", "--max", "0", expect=None, config=other).returncode == 0)
    results = [r.data for r in world.results.all() if r.data["task_id"] == task["task_id"]]
    assert len({r["history"] for r in results}) == 1, "one history, whoever tells it; who comes late finds `done` and tells nothing"
    history = world.history_of(task)
    check_history(history, results[0])
    counts = {(c["name"], c["count"]) for c in world.calls(task) if c["kind"] == "tool" and c["name"] != "look"}
    assert counts == {("book", 1), ("pay", 1)}
    assert {a["outcome"] for a in (e.body for e in history if e.kind == "ToolAnswered")} == {"ok"}
