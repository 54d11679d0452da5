"""What the lab asks of the workers: a steady stream of tasks, some twice, some hostile, some in transactions; and a note of each record."""
import itertools
import json
import random
import struct
import threading
import time
from collections import Counter

import fastavro
from confluent_kafka import KafkaException, Producer
from places import schema_text
from records import TASK_SCHEMA, encode, new_task

from crew import AGENT
from ground import BOOTSTRAP

SESSIONS, OTHER_SCHEMAS = 150, 12
PROMPTS = (  # weight, what the fakes shall do
    (30, "steps=1"), (25, "steps=2 tools=look"), (20, "steps=3 tools=look+find,book"), (8, "steps=2 tools=look+look+book+find"),
    (6, "steps=3 tools=book,look latency=1s..3s"), (5, "steps=2 tools=find fail@1=500x1"), (0.4, "steps=2 tools=book fail@2=429:1x1"),
    (3, "steps=2 tools=look,look fail@2=400x1"))


class Sent:
    """One record given to Kafka. `place` is set when Kafka acknowledged it."""
    __slots__ = ("n", "kind", "task_id", "key", "value", "headers", "code", "at", "place", "redrive", "answered")

    def __init__(self, n, kind, task_id, key, value, *, code=None, redrive=0, answered=True, headers=()):
        self.n, self.kind, self.task_id, self.key, self.value = n, kind, task_id, key, value
        self.code, self.redrive, self.answered, self.place = code, redrive, answered, None
        self.headers = [*headers, ("chaos", str(n).encode())]
        self.at = time.time()

    def __repr__(self):
        return f"{self.kind} {self.task_id} at {self.place}"


def poison(encoded, task, chance):
    """(value, code, whether somebody can be answered: None = perhaps, more headers) of a record that can never be a task."""
    value, big = encoded(task), [("blob", b"x" * 70000)]
    return chance.choice([
        (json.dumps(task).encode(), "plain_json", False, ()), (b"", "not_wire_format", False, ()), (None, "not_wire_format", False, ()),
        (b"\x01" + value[1:], "not_wire_format", False, ()), (b"\x00\x00\x00", "not_wire_format", False, ()),
        (struct.pack(">bI", 0, 99999999) + b"abc", "unknown_schema", False, ()), (value[:5], "does_not_decode", False, ()),
        (value[:5] + b"\xfe" + b"\xff" * 8 + b"\x01", "does_not_decode", False, ()),
        (value[:chance.randrange(6, len(value) - 1)], "does_not_decode", None, ()), (value + b"\x00", "does_not_decode", None, ()),
        (encoded({**task, "task_id": task["task_id"] + "/b"}), "bad_task_id", False, ()),
        (encoded({**task, "max_steps": 99}), "max_steps_out_of_range", True, ()),
        (encoded({**task, "token_budget": 1}), "token_budget_out_of_range", True, ()),
        (encoded({**task, "target_agent": "mail"}), "wrong_target_agent", True, ()),
        (value.replace(b"Work", b"\xff\xff\xff\xff"), "bad_utf8", True, ()),
        (encoded({**task, "prompt": "x" * (1 << 20)}), "too_large", None, ()), (value, "headers_too_large", None, big)])


class Load:
    """Threads that produce until stopped; `pause` lets the stream dry up."""

    def __init__(self, name, seed, rate, schemas):
        self.name, self.topic, self.rate = name, f"{name}.tasks.{AGENT}", rate
        self.chance, self.schemas = random.Random(f"load {seed}"), schemas
        self.sent, self.by_task, self.lock = [], {}, threading.Lock()
        self.running, self.stopped, self.partitions = threading.Event(), False, 6
        self.later = []  # (when, Sent, partition)
        self.within = False  # a transaction of the lab's own is open
        self.aborted, self.numbers, self.replaced = 0, itertools.count(), Counter()
        self.ids = self.register()
        options = {"bootstrap.servers": BOOTSTRAP, "log_level": 0, "partitioner": "murmur2_random", "message.max.bytes": 8 << 20,
                   "topic.metadata.refresh.interval.ms": 5000}
        self.plain_options = {**options, "linger.ms": 2, "enable.idempotence": True, "delivery.timeout.ms": 600000}
        self.producer = Producer(self.plain_options)
        self.options = {**options, "transactional.id": f"{name}-load", "transaction.timeout.ms": 10000}
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.stream, self.transactions)]

    def register(self):
        """Ours, and others that differ in their doc: a worker must ask the registry for each."""
        ids = [self.schemas.latest(f"{self.topic}-value")["id"]]
        for i in range(OTHER_SCHEMAS):
            schema = {**json.loads(schema_text("AgentTaskEvent")), "doc": f"{self.name} {i}"}
            ids.append(self.schemas.register(f"{self.name}-other-{i}-value", json.dumps(schema)))
        return ids

    def start(self):
        for thread in self.threads:
            thread.start()

    def encode(self, task):
        schema_id = self.ids[0] if self.chance.random() < 0.8 else self.chance.choice(self.ids)
        return encode(schema_id, TASK_SCHEMA, task)

    # ---- one record

    def note(self, kind, task_id, key, value, **more):
        with self.lock:
            sent = Sent(len(self.sent), kind, task_id, key, value, **more)
            self.sent.append(sent)
            self.by_task.setdefault(task_id, []).append(sent)
        return sent

    def produce(self, sent, partition=None, producer=None):
        def delivered(error, message):
            if not error and sent.kind != "perhaps" and message.offset() is not None:  # None: a broker that had it already
                sent.place = (message.partition(), message.offset())

        extra = {} if partition is None else {"partition": partition}
        producer = producer or self.producer
        while True:
            try:
                producer.produce(self.topic, key=sent.key, value=sent.value, headers=sent.headers, on_delivery=delivered, **extra)
                return
            except BufferError:
                producer.poll(0.1)

    def task(self):
        task_id = f"{self.name}-{next(self.numbers):07d}"
        session = f"{self.name}-s{self.chance.randrange(SESSIONS)}"
        directive, = self.chance.choices([d for _, d in PROMPTS], [w for w, _ in PROMPTS])
        return new_task(f'Work. [[fake: {directive} answer="ok {task_id}"]]', task_id, session, AGENT), directive

    def next(self):
        task, directive = self.task()
        key, dice = task["session_id"].encode(), self.chance.random()
        if dice < 0.05:
            value, code, answered, headers = poison(self.encode, task, self.chance)
            return self.note("poison", task["task_id"], key, value, code=code, answered=answered, headers=headers)
        sent = self.note("reject" if "400" in directive else "task", task["task_id"], key, self.encode(task))
        if dice < 0.09:
            again = self.note("again", task["task_id"], key, sent.value)
            partition = self.chance.choice([None, self.chance.randrange(self.partitions)])
            self.later.append((time.time() + self.chance.choice([0, 0.3, 2, 10, 30]), again, partition))
        elif dice < 0.095:
            other = self.note("conflict", task["task_id"], key, self.encode({**task, "prompt": "Another. [[fake: steps=1]]"}),
                              code="task_id_conflict", answered=False)
            self.later.append((time.time() + self.chance.choice([0.5, 5]), other, None))
        return sent

    def redrive(self, sent, number):
        """As the processor of dead letters would: the original bytes, and which redrive it is."""
        old = [(k, v) for k, v in sent.headers if k not in ("chaos", "stepmill.redrives")]
        copies = 2 if self.chance.random() < 0.2 else 1
        for _ in range(copies):
            again = self.note("redrive", sent.task_id, sent.key, sent.value, redrive=number,
                              headers=[*old, ("stepmill.redrives", str(number).encode())])
            self.later.append((time.time() + self.chance.uniform(0.2, 8), again, None))

    # ---- the threads

    def stream(self):
        due = time.time()
        while not self.stopped:
            try:
                due = self.stream_once(due)
            except KafkaException:  # fatal to this producer: what it still held may come to lie in the topic or not
                self.replaced["producers"] += 1
                self.producer = Producer(self.plain_options)

    def stream_once(self, due):
        """What is due now, and a short wait; returns when the next task is due."""
        now = time.time()
        for item in [x for x in self.later if x[0] <= now]:
            self.later.remove(item)
            self.produce(item[1], item[2])
        if not self.running.is_set():
            due = now
        elif due <= now:
            self.produce(self.next())
            self.producer.poll(0)
            return max(due + self.chance.expovariate(self.rate), now - 1)
        self.producer.poll(min(0.02, max(due - now, 0.001)))
        return due

    def transactions(self):
        """Tasks that come in transactions, a fourth of them taken back: their offsets are never delivered."""
        producer = None
        while not self.stopped:
            time.sleep(self.chance.uniform(1, 5))
            with self.lock:
                self.within = self.running.is_set()
            if not self.within:
                continue
            try:
                if producer is None:
                    producer = Producer(self.options)
                    producer.init_transactions(30)
                self.one_transaction(producer)
            except KafkaException:  # fenced, or taken back by the broker: what counts is what lies in the topic
                self.replaced["transactional producers"] += 1
                producer = None
            self.within = False

    def one_transaction(self, producer):
        aborted, sents = self.chance.random() < 0.25, []
        try:
            producer.begin_transaction()
            for _ in range(self.chance.randrange(1, 6)):
                task, _ = self.task()
                sents.append(self.note("within", task["task_id"], task["session_id"].encode(), self.encode(task)))
                self.produce(sents[-1], None, producer)
            if not aborted:
                producer.commit_transaction(20)
                return
            producer.flush(5)
            producer.abort_transaction(20)
            self.aborted += 1
        except KafkaException:
            aborted = True
            raise
        finally:
            if aborted:  # or nobody knows
                for sent in sents:
                    sent.kind, sent.place = "perhaps", None

    def pause(self):
        with self.lock:
            self.running.clear()

    def dry(self):
        """Nothing is on its way to Kafka any more."""
        return not self.running.is_set() and not self.within and not self.later and len(self.producer) == 0

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(60)
