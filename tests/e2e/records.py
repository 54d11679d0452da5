"""What is written to Kafka and read from it, with clients that know nothing of Stepmill: Confluent's, and fastavro."""
import io
import json
import struct
import time
import uuid

import fastavro
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from places import KAFKA, REGISTRY, TIME_FACTOR, schema_text

TASK_SCHEMA = fastavro.parse_schema(json.loads(schema_text("AgentTaskEvent")))


class Schemas:
    """The schema registry, as a client of Confluent's API sees it."""

    def __init__(self, url=REGISTRY):
        self.url = url
        self.known = {}

    def register(self, subject, text):
        answer = requests.post(f"{self.url}/subjects/{subject}/versions", json={"schema": text}, timeout=20)
        answer.raise_for_status()
        return answer.json()["id"]

    def latest(self, subject):
        answer = requests.get(f"{self.url}/subjects/{subject}/versions/latest", timeout=20)
        answer.raise_for_status()
        return answer.json()

    def of(self, schema_id):
        if schema_id not in self.known:
            answer = requests.get(f"{self.url}/schemas/ids/{schema_id}", timeout=20)
            answer.raise_for_status()
            self.known[schema_id] = fastavro.parse_schema(json.loads(answer.json()["schema"]))
        return self.known[schema_id]

    def decode(self, value):
        """A record as a dict; a union of records as (name, dict)."""
        magic, schema_id = struct.unpack(">bI", value[:5])
        assert magic == 0
        stream = io.BytesIO(value[5:])
        data = fastavro.schemaless_reader(stream, self.of(schema_id), None, return_record_name=True)
        assert not stream.read(), "bytes behind the record"
        return data


def encode(schema_id, schema, data):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, data)
    return struct.pack(">bI", 0, schema_id) + stream.getvalue()


class Record:
    """One record of a topic; `data` is decoded when it is asked for."""

    def __init__(self, message, schemas):
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.key, self.value, self.headers = message.key(), message.value(), message.headers() or []
        self.timestamp = message.timestamp()[1]
        self.arrived = time.time()
        self.schemas = schemas
        self.decoded = None

    def header(self, name):
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} stands {len(found)} times in {self.headers}"
        return found[0].decode() if found else None

    @property
    def data(self):
        if self.decoded is None:
            self.decoded = self.schemas.decode(self.value)
        return self.decoded

    @property
    def kind(self):
        """Of an event: ModelAnswered, …"""
        return self.data["body"][0].rsplit(".", 1)[-1]

    @property
    def body(self):
        return self.data["body"][1]

    def __repr__(self):
        return f"{self.topic}/{self.partition}/{self.offset} {self.data if self.value else None}"


class Reader:
    """Reads a topic from its beginning, committed records only; `records` grows."""

    def __init__(self, topic, schemas, kafka=KAFKA):
        self.consumer = Consumer({
            "bootstrap.servers": kafka, "group.id": f"reader-{uuid.uuid4()}", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 50})
        found = self.consumer.list_topics(topic, 20).topics[topic]
        assert not found.error, found.error
        self.topic, self.schemas = topic, schemas
        self.partitions = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in found.partitions]
        self.consumer.assign(self.partitions)
        self.ends = {}
        self.records = []

    def poll(self, seconds=0.1):
        for message in self.consumer.consume(500, seconds):
            if not message.error():
                self.records.append(Record(message, self.schemas))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                self.ends[message.partition()] = message.offset()
            else:
                assert message.error().retriable(), message.error()

    def until(self, enough, seconds=30):
        """Reads until so many records are there, or `enough(records)` is true."""
        done = enough if callable(enough) else lambda records: len(records) >= enough
        deadline = time.monotonic() + seconds * TIME_FACTOR
        while not done(self.records):
            assert time.monotonic() < deadline, \
                f"after {seconds * TIME_FACTOR} s {self.topic} holds {len(self.records)} records, not what was waited for; " \
                f"the last: {self.records[-3:]}"
            self.poll()
        return self.records

    def all(self):
        """Reads what is committed by now, to the last record."""
        ends = {p.partition: self.consumer.get_watermark_offsets(p, timeout=20)[1] for p in self.partitions}
        deadline = time.monotonic() + 30 * TIME_FACTOR
        while any(self.ends.get(p, 0) < end for p, end in ends.items()):
            assert time.monotonic() < deadline, f"{self.topic}: read to {self.ends} of {ends}"
            self.poll()
        return self.records

    def of_task(self, task_id):
        return [r for r in self.records if r.value and r.data["task_id"] == task_id]

    def close(self):
        self.consumer.close()


class Writer:
    """Produces, and knows where each record came to lie."""

    def __init__(self, kafka=KAFKA):
        self.producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 2,
                                  "enable.idempotence": True, "message.max.bytes": 8 << 20})
        self.places = []

    def send(self, topic, key, value, headers=(), partition=None):
        def delivered(error, message):
            assert not error, error
            self.places.append((message.partition(), message.offset()))

        extra = {} if partition is None else {"partition": partition}
        while True:
            try:
                self.producer.produce(topic, key=key, value=value, headers=list(headers), on_delivery=delivered, **extra)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def flush(self):
        """Waits until all lie in Kafka; returns their (partition, offset) since the last time, in no order across partitions."""
        assert self.producer.flush(30 * TIME_FACTOR) == 0, "not all records could be produced"
        places, self.places = self.places, []
        return places


def new_task(prompt="Do it.", task_id=None, session=None, agent="search", **fields):
    """A task with all fields of our schema."""
    task_id = task_id or f"t-{uuid.uuid4().hex[:12]}"
    return {"task_id": task_id, "source_agent": "e2e", "target_agent": agent, "session_id": session or f"s-{task_id}",
            "prompt": prompt, "context": {}, "created_at": int(time.time() * 1000), "max_steps": None, "token_budget": None,
            "deadline_at": None, "parent_task_id": None, **fields}
