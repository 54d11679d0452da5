"""Dead letters to fill an index with, and a look into the index."""
import sqlite3

from confluent_kafka import Producer

from places import KAFKA, TIME_FACTOR
from worker import wait_for


def index(processor, query, *values):
    """Rows of the index, read beside the processor."""
    with sqlite3.connect(f"file:{processor.world.folder / 'index' / 'letters.db'}?mode=ro", uri=True, timeout=30) as db:
        return db.execute(query, values).fetchall()


def wait_letters(processor, n, seconds=90):
    processor.wait_log("dlq.index", seconds)
    wait_for(f"{n} letters in the index", seconds, lambda: index(processor, "SELECT count(*) FROM letters")[0][0] >= n)
    return processor


def letter_headers(world, number, *, task=None, agent="search", klass="exhausted", code="timeout", message="no answer", redrives=0,
                   failed_at=None):
    """The headers of a dead letter of ours, as the worker writes them (tests/unit/wire/test_letter.c holds both to each other)."""
    topic = world.tasks_topic(agent)
    texts = {"__dlq.errors.topic": topic, "__dlq.errors.partition": "0", "__dlq.errors.offset": number, "__dlq.errors.group": world.name,
             "__dlq.errors.message": message, "stepmill.id": f"{topic}:0:{number}", "stepmill.task_id": task or f"task-{number}",
             "stepmill.agent": agent, "stepmill.class": klass, "stepmill.code": code, "stepmill.stage": "model", "stepmill.step": 1,
             "stepmill.attempts": 3, "stepmill.failed_at": failed_at or 1767225600000 + 7 * number, "stepmill.redrives": redrives,
             "stepmill.retryable": "true", "stepmill.worker": "host-1:7"}
    return [(name, str(value).encode()) for name, value in texts.items()]


def produce(records, broker=KAFKA):
    """(topic, key, value, headers) each; acknowledged when it returns."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "compression.type": "lz4", "acks": "all"})
    for topic, key, value, headers in records:
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60 * TIME_FACTOR) == 0
