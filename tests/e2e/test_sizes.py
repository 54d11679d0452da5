"""Large records: what is within the limits arrives whole; what no topic takes is cut, says so, and stops nobody."""
import hashlib

import pytest

from proof import check_history
from records import new_task
from worker import wait_for
from world import set_topic

TEXT_MAX = (7 << 20) - (64 << 10)  # of an event; a topic takes 8 MiB
SMALL = 900 << 10                  # of an output, where the topic takes less than it should


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world(limits={"model_answer": "16MiB", "record": "8MiB", "tool_answer": "4MiB"},
                              agents={"search": {"session_memory": False, "max_steps": 20}})
    world.start()
    return world


@pytest.mark.parametrize("size", [100_000, 3_000_000, TEXT_MAX])
def test_large_answers_arrive_whole(world, size):
    task, result = world.one(f"[[fake: steps=1 size={size} tokens=10+10]]", seconds=60)
    assert (result["status"], result["error"], len(result["output"].encode())) == ("completed", None, size)
    check_history(world.history_of(task), result)


def test_an_answer_that_no_event_can_hold_is_cut_and_says_so(world):
    task, result = world.one(f"[[fake: steps=1 size={9 << 20} tokens=10+10]]", seconds=60, context={"meta.tenant": "x" * 1000})
    assert (result["status"], result["error"], len(result["output"].encode())) == ("completed", "output_truncated", TEXT_MAX)
    assert result["metadata"] == {"meta.tenant": "x" * 1000}
    history = world.history_of(task)
    check_history(history, result)
    assert history[-1].body["output_cut"] is True
    assert not world.workers[0].lines("kafka.batch_aborted"), "the size was known before it was sent"


def test_metadata_is_echoed_as_far_as_there_is_room(world):
    context = {"meta.a": "x" * (900 << 10), "meta.b": "y" * (900 << 10), "meta.c": "z"}
    _, result = world.one("[[fake: steps=1 tokens=10+10]]", seconds=60, context=context)
    assert result["status"] == "completed" and result["metadata"] == {"meta.a": context["meta.a"], "meta.c": "z"}


def test_a_large_prompt_reaches_the_model_whole(world):
    text = "Grüße, 世界! " * 100_000
    task, result = world.one(text + "[[fake: steps=1 tokens=10+10]]", seconds=60)
    assert result["status"] == "completed"
    assert world.history_of(task)[0].body["task"]["prompt"] == task["prompt"]


def letter_at(world, place):
    origin = f"{world.tasks_topic()}:{place[0]}:{place[1]}"
    world.dlq.until(lambda letters: any(r.header("stepmill.id") == origin for r in letters), 60)
    letter, = [r for r in world.dlq.records if r.header("stepmill.id") == origin]
    return letter


@pytest.mark.parametrize("part", ["value", "headers", "key"])
def test_hostile_records_near_the_topics_limit_become_dead_letters(world, part):
    """With the headers of a dead letter each would be larger than the topic takes; what has to go is named."""
    big = b"x" * ((8 << 20) - 400)
    key, value, headers = {"value": (b"k", big, []), "headers": (b"k", b"v", [("big", big)]), "key": (big, b"v", [])}[part]
    world.writer.send(world.tasks_topic(), key, value, headers)
    place, = world.writer.flush()
    letter = letter_at(world, place)
    omitted = letter.header("stepmill.value_omitted")
    assert letter.value is None and f"size={len(value)}" in omitted and hashlib.sha256(value).hexdigest() in omitted
    assert ("headers" in omitted, "key" in omitted) == (part != "value", part == "key")
    assert letter.key == (None if part == "key" else key)
    assert not world.workers[0].lines("kafka.batch_aborted")
    world.settled()


def test_a_task_that_needs_too_much_memory_ends_by_a_cell_and_can_be_redriven(world):
    """Each tool answer is 4 MiB; ten of them are more than a task may have."""
    task = new_task("[[fake: steps=12 tools=look tool_fail=huge tokens=10+10]]")
    for redrives in range(2):
        place, = world.submit(task, headers=[("stepmill.redrives", str(redrives).encode())] if redrives else [])
        world.results.until(lambda _, n=redrives: len(world.results.of_task(task["task_id"])) > n, 60)
        result = world.results.of_task(task["task_id"])[redrives].data
        assert (result["status"], result["error"], result["redrives"]) == ("failed", "task_too_large", redrives)
        assert 1 < result["steps_used"] < 11
        letter = letter_at(world, place)
        assert (letter.header("stepmill.class"), letter.header("stepmill.code")) == ("rejected", "task_too_large")
        history = world.history_of(task)
        assert [e.kind for e in history if e.kind in ("TaskFailed", "TaskReopened")] == ["TaskFailed", "TaskReopened"] * redrives + ["TaskFailed"]
        check_history(history, result)
    _, result = world.one("[[fake: steps=1 tokens=10+10]]")
    assert result["status"] == "completed", "the worker goes on"


def test_a_large_checkpoint_is_resumed_and_disturbs_nobody(make_world):
    world = make_world(limits={"tool_answer": "4MiB"}, agents={"search": {"session_memory": False}})
    worker = world.start()
    task = new_task("[[fake: steps=4 tools=look tool_fail=huge latency@4=5s tokens=10+10]]")
    world.submit(task)
    wait_for("the last call", 60, lambda: len([c for c in world.calls(task) if c["kind"] == "model"]) == 4)
    worker.kill()
    worker = world.start()
    result = world.result_of(task, 60)
    assert (result["status"], result["steps_used"]) == ("completed", 4)
    assert not worker.lines("redis.down")
    check_history(world.history_of(task), result)


def test_topics_that_take_less_than_they_should(make_world):
    world = make_world(limits={"record": "4MiB"}, agents={"search": {"session_memory": False}},
                       kafka={"compression.type": "none"})  # the limit is that of compressed bytes
    for name in ("results", "dlq"):
        set_topic(world.topic(name), "max.message.bytes", "1048588")  # as Kafka makes them by itself: records up to 1 MiB
    doctor = world.stepmill("doctor", expect=None).stdout
    assert f"{world.topic('results')}: max.message.bytes is 1048588, should be 8388608" in doctor
    worker = world.start()
    for name in ("results", "dlq"):
        line, = worker.wait_log("kafka.producer.trouble", topic=world.topic(name))
        assert "max.message.bytes is 1048588, should be 8388608" in line["detail"] and line["level"] == "warn"
    assert not worker.lines("kafka.producer.trouble", topic=world.topic("events"))

    task, result = world.one(f"[[fake: steps=1 size={3 << 20} tokens=10+10]]", seconds=60)
    assert (result["status"], result["error"], len(result["output"])) == ("completed", "output_truncated", SMALL)
    check_history(world.history_of(task), result)

    task = new_task("x" * (3 << 20) + "[[fake: fail=400]]")
    place, = world.submit(task)
    letter = letter_at(world, place)
    assert (letter.value, letter.header("stepmill.code")) == (None, "model_request_rejected")
    result = world.result_of(task)
    assert (result["status"], result["error"]) == ("failed", "model_request_rejected")
    world.settled()
    assert worker.metric("stepmill_dead_letters_total") == 1
    assert len(worker.lines("agent.task.dlq")) == 1, "told once, however often it was written"
