"""Which record is which task: the table of DELIVERY §3, row by row."""
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from places import KAFKA, TIME_FACTOR
from proof import check_history
from records import new_task
from worker import wait_for

LOOK_ONCE = '[[fake: tools=look answer="looked"]]'


def metric_is(worker, name, value):
    wait_for(f"{name} is {value}", 20, lambda: worker.metric(name) == value)


def checkpoint(world, task):
    """Seqs that Redis holds of a task."""
    return sorted(int(seq) for seq in world.redis.hkeys(world.key(f"checkpoint:{task['task_id']}")))


def set_offset(world, partition, offset):
    """By hand, as an operator would; the group is stopped. The finished set goes with it."""
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": world.settings["kafka"]["group.id"]})
    consumer.commit(offsets=[TopicPartition(world.tasks_topic(), partition, offset)], asynchronous=False)
    consumer.close()


def calls_made(world, task):
    return {c["key"]: c["count"] for c in world.calls(task)}


def results_of(world, task):
    world.settled()
    world.results.all()
    return [r.data for r in world.results.of_task(task["task_id"])]


def redrive(world, task, number):
    world.submit(task, headers=[("stepmill.redrives", str(number).encode())])


def test_a_resumes_after_a_crash(world):
    worker = world.start()
    task = new_task("[[fake: steps=3 tools=look latency@3=20s]]")
    world.submit(task)
    wait_for("four cells", 20, lambda: checkpoint(world, task) == [0, 1, 2, 3, 4])
    wait_for("the third call", 20, lambda: len(calls_made(world, task)) == 5)
    worker.kill()
    before = calls_made(world, task)
    world.fakes.post("/fakes/faults", {"model": {"latency": "0ms"}})
    worker = world.start()
    result = world.result_of(task, 60)
    check_history(world.history_of(task), result)
    last = max(before, key=lambda key: int(key.split("/")[1]))
    assert calls_made(world, task) == {**before, last: before[last] + 1}, "only the call in flight is made again, with the same key"
    assert worker.wait_log("agent.checkpoint.restored")[0]["events"] == 5


def test_a_settles_a_task_that_had_ended_before_the_commit(world):
    """The terminal cell is there, the commit was lost: the same result leaves, nothing is called."""
    task = new_task(LOOK_ONCE)
    worker = world.start(world.write_config("slow.yaml", worker={"commit_interval": "10s", "events_interval": "10s"}))
    world.one(LOOK_ONCE)  # the next commit is ten seconds away
    world.submit(task)
    wait_for("the terminal cell", 20, lambda: checkpoint(world, task) == [0, 1, 2, 3, 4])
    worker.kill()
    before = calls_made(world, task)
    assert task["task_id"] not in [r.data["task_id"] for r in world.results.all()]
    world.start()
    result = world.result_of(task, 60)
    check_history(world.history_of(task), result)
    assert calls_made(world, task) == before


def test_b_a_record_read_again_after_its_end_is_finished_without_records(world):
    worker = world.start()
    task = new_task(LOOK_ONCE)
    (partition, offset), = world.submit(task)
    world.result_of(task)
    world.settled()
    wait_for("done", 20, lambda: world.redis.get(world.key(f"done:{task['task_id']}")))
    worker.stop()
    set_offset(world, partition, offset)
    assert world.lag() == 1
    before = calls_made(world, task)
    worker = world.start()
    assert len(results_of(world, task)) == 1
    assert calls_made(world, task) == before
    assert worker.wait_log("task.standing", task_id=task["task_id"])[0]["standing"] == "finished"
    assert not world.dlq.all()


@pytest.mark.parametrize("running", [False, True], ids=["ended", "running"])
def test_c_another_task_under_the_same_id_is_dead_lettered_without_a_result(world, running):
    world.start()
    task = new_task("[[fake: tools=look latency@2=2s]] first" if running else "first", session="one")
    world.submit(task)
    if running:
        wait_for("the first cells", 20, lambda: checkpoint(world, task))
    else:
        world.result_of(task)
    other = dict(task, prompt="second", session_id="two")
    world.submit(other)
    letter = world.dlq.until(1)[0]
    assert letter.value == world.encode(other)
    assert (letter.header("stepmill.class"), letter.header("stepmill.code")) == ("poison", "task_id_conflict")
    found = results_of(world, task)
    assert [(r["status"], r["session_id"]) for r in found] == [("completed", "one")], "it would answer the wrong caller"


def test_c_of_two_that_begin_at_once_one_wins(world):
    world.start()
    first = new_task("[[fake: latency=1s]] first", session="one")
    world.submit(first, dict(first, prompt="[[fake: latency=1s]] second", session_id="two"))
    letter, = world.dlq.until(1)
    assert letter.header("stepmill.code") == "task_id_conflict"
    result, = results_of(world, first)
    assert result["status"] == "completed"
    assert letter.key.decode() != result["session_id"]
    check_history(world.history_of(first), result)


@pytest.mark.parametrize("cells", ["kept", "deleted", "deleted, done too"])
def test_d_a_redrive_runs_again_and_what_was_paid_for_stays(world, cells):
    worker = world.start()
    task = new_task('[[fake: steps=2 tools=look fail@2=400x1 answer="at last"]]')
    world.submit(task)
    first = world.result_of(task)
    assert (first["status"], first["steps_used"], first["final"]) == ("failed", 1, True)
    world.settled()
    wait_for("done", 20, lambda: world.redis.get(world.key(f"done:{task['task_id']}")))
    assert checkpoint(world, task) == [0, 1, 2, 3], "a dead-lettered task keeps its cells"
    if cells != "kept":
        world.redis.delete(world.key(f"checkpoint:{task['task_id']}"))
    if cells == "deleted, done too":
        world.redis.delete(world.key(f"done:{task['task_id']}"))
    before = calls_made(world, task)
    redrive(world, task, 1)
    world.results.until(lambda _: len(world.results.of_task(task["task_id"])) == 2)
    second = world.results.of_task(task["task_id"])[1].data
    assert (second["status"], second["output"], second["redrives"]) == ("completed", "at last", 1)
    again = {key: n - before.get(key, 0) for key, n in calls_made(world, task).items() if n != before.get(key)}
    if cells == "kept":
        history = world.history_of(task)
        check_history(history, second)
        assert [e.kind for e in history][-3:] == ["TaskReopened", "ModelAnswered", "TaskCompleted"]
        assert history[4].body["redrives"] == 1 and history[4].body["kind"] == "redrive"
        assert sum(again.values()) == 1, "only the failed step is called"
    else:
        assert sum(again.values()) == 3, "nothing is known any more: it runs as new"
    assert second["steps_used"] == 2
    redrive(world, task, 1)
    redrive(world, task, 0)
    assert len(results_of(world, task)) == 2, "the same number once more is a duplicate"
    metric_is(worker, "stepmill_duplicates_total", 2)
    assert len(world.dlq.all()) == 1


def test_d_a_second_redrive_after_a_second_failure(world):
    world.start()
    task = new_task('[[fake: fail=400x2 answer="at last"]]')
    world.submit(task)
    for number, status in ((1, "failed"), (2, "completed")):
        world.results.until(lambda _, n=number: len(world.results.of_task(task["task_id"])) == n)
        redrive(world, task, number)
        world.results.until(lambda _, n=number: len(world.results.of_task(task["task_id"])) == n + 1)
        result = world.results.of_task(task["task_id"])[-1].data
        assert (result["status"], result["redrives"]) == (status, number)
    world.settled()
    check_history(world.history_of(task), result)
    letters = world.dlq.all()
    assert [letter.header("stepmill.redrives") for letter in letters] == ["0", "1"]


def test_d_a_redrive_of_a_completed_task_is_a_duplicate(world):
    worker = world.start()
    task, _ = world.one(LOOK_ONCE)
    world.settled()
    redrive(world, task, 1)
    assert len(results_of(world, task)) == 1
    metric_is(worker, "stepmill_duplicates_total", 1)


@pytest.mark.parametrize("running", [False, True], ids=["ended", "running"])
def test_e_the_same_task_twice_is_answered_once(world, running):
    """In other partitions too, and while the original still runs."""
    worker = world.start()
    task = new_task(f"[[fake: tools=look latency@2={int(6 * TIME_FACTOR)}s]]" if running else LOOK_ONCE)
    world.submit(task)
    if running:
        wait_for("the first answer", 20, lambda: checkpoint(world, task))
    else:
        world.result_of(task)
        world.settled()
    for partition in range(world.partitions):
        world.submit(dict(task, created_at=int(time.time() * 1000), deadline_at=None), partition=partition)
    if running:
        wait_for("copies end while it runs", 5, lambda: worker.metric("stepmill_duplicates_total") >= world.partitions - 1)
        assert not world.results.all()
    assert len(results_of(world, task)) == 1
    check_history(world.history_of(task), results_of(world, task)[0])
    assert set(calls_made(world, task).values()) == {1}
    metric_is(worker, "stepmill_duplicates_total", world.partitions)
    assert not world.dlq.all()


def test_e_twice_at_once_gives_one_result(world):
    """Both records start before either has a cell: one history wins, at most the calls in flight are made twice."""
    world.start()
    tasks = [new_task("[[fake: tools=look latency=100ms]]") for _ in range(20)]
    for partition in range(world.partitions):
        for task in tasks:
            world.writer.send(world.tasks_topic(), task["session_id"], world.encode(task), partition=partition)
    world.writer.flush()
    for task in tasks:
        result = world.result_of(task)
        check_history(world.history_of(task), result)
    world.settled()
    assert len(world.results.all()) == len(tasks)
    assert not world.dlq.all()


def test_f_what_nobody_knows_is_new(world):
    """Its done mark is gone after a day: then the same record is a new task, and says so by running."""
    world.start()
    task, _ = world.one(LOOK_ONCE)
    world.settled()
    wait_for("done", 20, lambda: world.redis.get(world.key(f"done:{task['task_id']}")))
    ttl = world.redis.ttl(world.key(f"done:{task['task_id']}"))
    assert 86000 < ttl <= 86400
    world.redis.delete(world.key(f"done:{task['task_id']}"))
    world.submit(task)
    assert [r["status"] for r in results_of(world, task)] == ["completed"] * 2


def test_the_same_over_and_over_while_a_worker_dies(world):
    """Duplicates of a running task whose worker is killed: still one result."""
    worker = world.start()
    task = new_task("[[fake: steps=3 tools=look latency=700ms]]")
    world.submit(task)
    wait_for("the first answer", 20, lambda: checkpoint(world, task))
    for partition in range(world.partitions):
        world.submit(task, partition=partition)
    worker.kill()
    world.start()
    time.sleep(0.2 * TIME_FACTOR)
    result = world.result_of(task, 60)
    assert len(results_of(world, task)) == 1
    check_history(world.history_of(task), result)
