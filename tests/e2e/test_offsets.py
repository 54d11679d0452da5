"""Offsets: where reading begins, what counts as finished, and what is done about offsets that cannot be right."""
from confluent_kafka import Consumer, Producer, TopicPartition

from proof import check_history
from records import new_task
from worker import wait_for
from world import events_by_task


def commit(world, partition, offset, metadata=""):
    """By hand; no worker runs."""
    consumer = Consumer({"bootstrap.servers": world.broker, "group.id": world.name})
    consumer.commit(offsets=[TopicPartition(world.tasks_topic(), partition, offset, metadata)], asynchronous=False)
    consumer.close()


def test_a_group_without_offsets_begins_at_the_beginning(world):
    tasks = [new_task("[[fake: steps=1]]") for _ in range(20)]
    world.submit(*tasks)
    world.start()
    for task in tasks:
        assert world.result_of(task)["status"] == "completed"


def test_lag_reaches_zero_over_aborted_and_control_records(world):
    """Their offsets are never delivered, so nobody can finish them: they count as finished."""
    worker = world.start()
    producer = Producer({"bootstrap.servers": world.broker, "transactional.id": f"{world.name}-caller",
                         "partitioner": "murmur2_random"})
    producer.init_transactions(20)
    tasks = [new_task("[[fake: steps=1]]") for _ in range(8)]
    for n, task in enumerate(tasks):
        producer.begin_transaction()
        producer.produce(world.tasks_topic(), key=task["session_id"], value=world.encode(task))
        if n % 2:
            producer.commit_transaction(20)
        else:
            producer.flush(20)
            producer.abort_transaction(20)
    for task in tasks[1::2]:
        assert world.result_of(task)["status"] == "completed"
    world.settled()
    assert len(world.results.all()) == 4, "aborted tasks were never sent"
    assert not any(world.calls(t) for t in tasks[0::2])
    assert worker.metric("stepmill_records_waiting") == 0


def test_an_offset_beyond_the_end_stops_that_partition_only(world):
    commit(world, 1, 5000)
    worker = world.start(ready=False)
    line = worker.wait_log("kafka.partition.stopped", partition=1)[0]
    assert "offsets set" in line["action"], "the line says what to do"
    here, there = new_task("[[fake: steps=1]]"), new_task("[[fake: steps=1]]")
    world.submit(here, partition=0)
    world.submit(there, partition=1)
    assert world.result_of(here)["status"] == "completed"
    assert not world.calls(there), "it is not guessed where to go on"
    worker.stop()
    commit(world, 1, 0)
    world.start()
    assert world.result_of(there)["status"] == "completed"


def test_metadata_that_cannot_be_read_is_told_and_nothing_is_answered_twice(world):
    worker = world.start()
    tasks = [new_task("[[fake: steps=1]]") for _ in range(5)]
    for task in tasks:
        world.submit(task, partition=2)
    for task in tasks:
        world.result_of(task)
    world.settled()
    worker.stop()
    commit(world, 2, 1, "another program's note")
    worker = world.start()
    assert worker.wait_log("kafka.metadata_unreadable", partition=2)[0]["offset"] == 1
    world.settled()
    assert len(world.results.all()) == len(tasks)
    assert {c["count"] for t in tasks for c in world.calls(t)} == {1}


def test_a_full_house_does_not_wait_for_itself(make_world):
    """Few slots, few places to wait, long lanes, records without a key: all is done in order all the same."""
    world = make_world(partitions=2, agents={"search": {"max_in_flight": 3, "max_waiting": 6, "session_memory": False}})
    world.start()
    tasks = [new_task("[[fake: steps=1 latency=5ms..20ms]]", f"t-{n}", f"s-{n % 3}") for n in range(150)]
    world.submit(*tasks)
    unkeyed = [new_task("[[fake: steps=1]]") for _ in range(20)]
    for task in unkeyed:
        world.writer.send(world.tasks_topic(), None, world.encode(task))
    world.writer.flush()
    world.results.until(170, 60)
    world.settled()
    for s in range(3):
        found = [r.data["task_id"] for r in world.results.records if r.data["session_id"] == f"s-{s}"]
        assert found == [f"t-{n}" for n in range(150) if n % 3 == s]
    histories = events_by_task(world.events.all())
    for r in world.results.records:
        check_history(histories[r.data["task_id"]], r.data)


def test_a_long_task_does_not_keep_a_key_from_other_partitions(world):
    """Lanes are per partition and key: the same session in another partition is another lane."""
    world.start()
    slow = new_task("[[fake: steps=1 latency=4s]]", session="s")
    world.submit(slow, partition=0)
    wait_for("the call", 20, lambda: world.calls(slow))
    behind, beside = new_task("[[fake: steps=1]]", session="s"), new_task("[[fake: steps=1]]", session="s")
    world.submit(behind, partition=0)
    world.submit(beside, partition=1)
    assert world.result_of(beside)["status"] == "completed"
    assert not world.calls(behind)
    assert world.result_of(behind)["status"] == "completed"
    order = [r.data["task_id"] for r in world.results.all()]
    assert order.index(slow["task_id"]) < order.index(behind["task_id"])
