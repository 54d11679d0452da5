"""Redrives: each letter goes once, whatever happens to the processor; what was paid for stays paid."""
import collections
import random
import time

import pytest

from processor import Processor, actions_of, request_job, wait_action, write_action
from records import new_task
from worker import wait_for


def put_letters(world, count, prompt="Do it.", first=0, **headers):
    """Dead letters as a worker writes them, of offsets that no task of these tests has; returns their ids. `first`: of their numbers."""
    ids = []
    for i in range(first, first + count):
        offset = 1_000_000 + i
        task = new_task(prompt, task_id=f"{world.name}-{i}")
        ids.append(f"{world.tasks_topic()}:0:{offset}")
        known = {"__dlq.errors.topic": world.tasks_topic(), "__dlq.errors.partition": "0", "__dlq.errors.offset": str(offset),
                 "__dlq.errors.message": "no answer", "stepmill.id": ids[-1], "stepmill.task_id": task["task_id"],
                 "stepmill.agent": "search", "stepmill.class": "rejected", "stepmill.code": "model_http_400",
                 "stepmill.stage": "model", "stepmill.failed_at": str(int(time.time() * 1000)), "stepmill.redrives": "0",
                 "stepmill.retryable": "false", "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "mine": "kept", **headers}
        world.writer.send(world.topic("dlq"), task["session_id"], world.encode(task), [(k, v.encode()) for k, v in known.items()])
    world.writer.flush()
    return ids


def sent_letters(world):
    """letter → how often its record lies in its topic, for whoever reads what is committed."""
    if "tasks.search" not in world.readers:
        world.reader("tasks.search")
    return collections.Counter(r.header("stepmill.letter") for r in world.reader("tasks.search").all())


def test_each_letter_goes_once_however_often_the_processor_is_killed(world, request):
    long = request.config.getoption("--long")
    count, kills, rate = (5000, 20, 250) if long else (400, 3, 100)
    ids = put_letters(world, count)
    chance = random.Random(world.name)
    processor = Processor(world).engine()
    wait_for("all letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= count)
    job = request_job(world, filter={"agent": "search"}, rate=rate)
    wait_action(world, "job_selected", job=job, last=True)
    hit = 0
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 1.5 * count / rate / kills))
        hit += not actions_of(world, "job_finished", job=job)
        processor.kill()
        processor = Processor(world).engine(120)
    finished, = wait_action(world, "job_finished", 300, job=job)
    assert hit >= kills // 2, "the kills struck the job at work"
    assert {c["name"]: c["n"] for c in finished["counts"]}["sent"] == count, "its figures outlive the kills"
    sent = sent_letters(world)
    assert sent == {i: 1 for i in ids}
    assert collections.Counter(a["letter"] for a in actions_of(world, "redriven")) == sent
    record = world.reader("tasks.search").records[0]
    assert record.header("mine") == "kept" and record.header("traceparent") is None and record.header("stepmill.class") is None
    assert (record.header("stepmill.redrives"), record.header("stepmill.job")) == ("1", job)
    processor.stop()


def test_values_that_the_index_does_not_hold_go_whole(world):
    """One that is larger than dlq.value_max, and one that did not fit into its letter."""
    task = new_task("x" * 5000)
    (partition, offset), = world.submit(task)
    kept, = put_letters(world, 1, prompt="y" * 5000)
    omitted = f"{world.tasks_topic()}:{partition}:{offset}"
    known = {"__dlq.errors.topic": world.tasks_topic(), "__dlq.errors.partition": str(partition), "__dlq.errors.offset": str(offset),
             "stepmill.id": omitted, "stepmill.task_id": task["task_id"], "stepmill.agent": "search", "stepmill.class": "rejected",
             "stepmill.value_omitted": "size=5000", "stepmill.redrives": "0"}
    world.writer.send(world.topic("dlq"), task["session_id"], None, [(k, v.encode()) for k, v in known.items()])
    world.writer.flush()
    processor = Processor(world, value_max="1KiB").engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 2)
    assert processor.api("POST", "/redrives/dry-run", json={"letters": [kept, omitted]}).json()["eligible"] == 2
    wait_action(world, "job_finished", job=request_job(world, [kept, omitted]))
    found = {r.header("stepmill.letter"): r.data["prompt"] for r in world.reader("tasks.search").all()}
    assert (found[kept], found[omitted]) == ("y" * 5000, "x" * 5000)
    processor.stop()


def test_letters_whose_headers_are_larger_than_all_memory_for_them_go(world):
    """80 of 900 kB each: they are neither tried nor sent at once."""
    ids = put_letters(world, 80, **{"big": "h" * 900_000})
    processor = Processor(world).engine()
    wait_for("the letters are known", 90, lambda: processor.metric("stepmill_dlq_letters") >= 80)
    answer = processor.api("POST", "/redrives/dry-run", json={"filter": {"agent": "search"}})
    assert answer.status_code == 200 and answer.json()["eligible"] == 80, answer.text
    wait_action(world, "job_finished", 90, job=request_job(world, filter={"agent": "search"}))
    assert sent_letters(world) == {i: 1 for i in ids}
    processor.stop()


@pytest.mark.parametrize("cells", ["kept", "lost"])
def test_a_redriven_task_pays_for_the_failed_step_only(world, cells):
    worker = world.start()
    task = new_task('[[fake: steps=3 tools=look fail@3=400x1 answer="at last"]]')
    world.submit(task)
    assert world.result_of(task)["status"] == "failed"
    world.settled()
    letter = world.dlq.until(1)[0].header("stepmill.id")
    assert world.dlq.records[0].header("stepmill.started_at")
    wait_for("done", 20, lambda: world.redis.get(world.key(f"done:{task['task_id']}")))
    if cells == "lost":
        world.redis.delete(world.key(f"checkpoint:{task['task_id']}"), world.key(f"done:{task['task_id']}"))
    before = {c["key"]: c["count"] for c in world.calls(task)}
    processor = Processor(world).engine()
    wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    job = request_job(world, [letter])
    wait_action(world, "redriven", job=job)
    world.results.until(lambda records: len(world.results.of_task(task["task_id"])) == 2, 60)
    result = world.results.of_task(task["task_id"])[1].data
    assert (result["status"], result["output"], result["redrives"], result["steps_used"]) == ("completed", "at last", 1, 3)
    after = {c["key"]: c["count"] for c in world.calls(task)}
    assert sum(after.values()) - sum(before.values()) == 1, "one model call"
    wait_action(world, "resolved", 60, letter=letter, name="completed")
    assert worker.wait_log("agent.checkpoint.restored") or cells == "kept"
    processor.stop()


def test_from_the_start_means_that_no_step_is_kept(world):
    world.start()
    task = new_task('[[fake: steps=3 tools=look fail@3=400x1 answer="at last"]]')
    world.submit(task)
    world.result_of(task)
    world.settled()
    letter = world.dlq.until(1)[0].header("stepmill.id")
    wait_for("done", 20, lambda: world.redis.get(world.key(f"done:{task['task_id']}")))
    before = sum(c["count"] for c in world.calls(task))
    processor = Processor(world).engine()
    wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    request_job(world, [letter], from_start=True)
    world.results.until(lambda records: len(world.results.of_task(task["task_id"])) == 2, 60)
    assert world.results.of_task(task["task_id"])[1].data["status"] == "completed"
    assert sum(c["count"] for c in world.calls(task)) - before == 5, "three model calls and two of the tool"
    processor.stop()


def test_a_canary_that_fails_pauses_the_job(world):
    world.start()
    tasks = [new_task("[[fake: steps=1 fail=400]]") for _ in range(6)]
    world.submit(*tasks)
    letters = [r.header("stepmill.id") for r in world.dlq.until(6, 60)]
    processor = Processor(world).engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 6)
    job = request_job(world, letters, canary=2)
    paused, = wait_action(world, "job_paused", job=job)
    assert paused["name"] == "canary"
    assert len(actions_of(world, "redriven", job=job)) == 2
    write_action(world, kind="job_resumed", job=job)
    wait_action(world, "job_finished", job=job)
    assert sorted(a["letter"] for a in actions_of(world, "redriven", job=job)) == sorted(letters)
    processor.stop()


def test_what_fails_behind_a_canary_that_passed_pauses_nothing(world):
    world.start()
    mended, *failing = tasks = [new_task("[[fake: steps=1 fail@1=400x1]]"), *(new_task("[[fake: steps=1 fail=400]]") for _ in range(6))]
    world.submit(*tasks)
    of_task = {r.header("stepmill.task_id"): r.header("stepmill.id") for r in world.dlq.until(7, 60)}
    processor = Processor(world).engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 7)
    job = request_job(world, [of_task[t["task_id"]] for t in (mended, *failing)], canary=1, rate=1)
    wait_action(world, "job_finished", job=job)
    assert not actions_of(world, "job_paused", job=job) and len(actions_of(world, "redriven", job=job)) == 7
    processor.stop()


def test_a_canary_of_which_nobody_hears_ends_by_a_hand(world):
    """Letters without a task tell no end; nor does a task that no worker takes. Whoever resumes the job wants the others sent."""
    nameless = put_letters(world, 3, **{"stepmill.task_id": ""})
    waiting = put_letters(world, 3, first=10)
    processor = Processor(world).engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 6)
    job = request_job(world, nameless, canary=1)
    paused, = wait_action(world, "job_paused", job=job)
    assert paused["name"] == "canary" and "cannot be seen" in paused["reason"] and len(actions_of(world, "redriven", job=job)) == 1
    write_action(world, kind="job_resumed", job=job)
    wait_action(world, "job_finished", job=job)
    job = request_job(world, waiting, canary=1)
    wait_action(world, "redriven", job=job)
    write_action(world, kind="job_resumed", job=job)
    wait_action(world, "job_finished", job=job)
    assert sent_letters(world) == {i: 1 for i in nameless + waiting} and not actions_of(world, "job_paused", job=job)
    processor.stop()


def test_what_fails_again_and_again_is_parked(world):
    world.start()
    task = new_task("poison", max_steps=99)
    world.submit(task)
    processor = Processor(world).engine()
    for redrives in range(3):
        letter = world.dlq.until(redrives + 1, 60)[redrives]
        assert letter.header("stepmill.redrives") == str(redrives)
        if redrives < 2:
            wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") > redrives)
            job = request_job(world, [letter.header("stepmill.id")])
            wait_action(world, "job_finished", job=job)
    parked, = wait_action(world, "parked", 60)
    assert parked["letter"] == letter.header("stepmill.id")
    answer = processor.api("POST", "/actions", json={"kind": "reopened", "letters": [world.dlq.records[0].header("stepmill.id")]})
    assert answer.status_code == 409 and "newer letter" in answer.json()["detail"], "it would fail again at once"
    job = request_job(world, [letter.header("stepmill.id")])
    selected, = wait_action(world, "job_selected", job=job)
    assert selected["letters"] == [] and selected["counts"] == [{"name": "parked", "n": 1}]
    wait_action(world, "job_finished", job=job)
    assert len(world.dlq.all()) == 3
    processor.stop()


def test_a_retry_comes_by_itself_and_only_so_often(world):
    world.settings["retry"]["model"]["rounds"] = 1
    world.settings["dlq"] = {"auto_redrives": 2, "retry": {"after": "1s", "jitter": "100ms", "failure_percent": 100}}
    config = world.write_config()
    world.start(config)
    task = new_task("[[fake: steps=1 fail=500]]")
    world.submit(task)
    processor = Processor(world, **world.settings["dlq"]).engine()

    def enough(letters):
        world.submit(new_task())  # the model answers others, else a task waits rather than fail
        return len(letters) >= 3

    letters = world.dlq.until(enough, 120)
    assert [r.header("stepmill.redrives") for r in letters] == ["0", "1", "2"]
    wait_action(world, "parked", 60, letter=letters[2].header("stepmill.id"))
    assert [r.data["final"] for r in world.results.all() if r.data["task_id"] == task["task_id"]] == [False, False, True]
    assert len(actions_of(world, "retry_scheduled")) == 2
    processor.stop()
