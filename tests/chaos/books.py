"""What lies in Kafka, read as a caller would: committed records only, past the proxy, each in its place."""
import threading
import time
import traceback
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from records import Record

from crew import AGENT
from ground import BOOTSTRAP


class Task:
    """All that was read of one task_id. `events`: seq → digest → event, dropped once they were found right."""
    __slots__ = ("events", "results", "verified")

    def __init__(self):
        self.events, self.results, self.verified = defaultdict(dict), [], {}


class Tail:
    """Follows one topic, new partitions included."""

    def __init__(self, topic, take):
        self.topic, self.take = topic, take
        self.consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{topic}-books", "isolation.level": "read_committed",
                                  "enable.auto.commit": False, "log_level": 0, "fetch.wait.max.ms": 200, "queued.max.messages.kbytes": 8192,
                                  "reconnect.backoff.max.ms": 1000})
        self.partitions, self.looked = set(), 0.0

    def look(self):
        if time.monotonic() - self.looked < 10:
            return
        try:
            found = set(self.consumer.list_topics(self.topic, 5).topics[self.topic].partitions)
        except (KafkaException, KeyError):
            return
        self.looked = time.monotonic()
        if new := found - self.partitions:
            self.consumer.incremental_assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in new])
            self.partitions |= new

    def poll(self, schemas):
        self.look()
        messages = self.consumer.consume(1000, 0.05)
        for message in messages:
            if not message.error():
                self.take(Record(message, schemas))
        return len(messages)

    def positions(self):
        return {p.partition: p.offset for p in self.consumer.position([TopicPartition(self.topic, p) for p in self.partitions])}


class Books:
    def __init__(self, name, schemas, fail):
        self.name, self.schemas, self.fail = name, schemas, fail
        for topic in ("results", "events"):  # so that nothing is asked of the registry later
            schemas.of(schemas.latest(f"{name}.{topic}-value")["id"])
        self.inputs = {}  # (partition, offset) → number of what was sent
        self.new_inputs, self.to_redrive = [], []
        self.fresh = []  # results in the order of their partition, not yet looked at for order
        self.tasks, self.letters = defaultdict(Task), defaultdict(list)
        self.counts = defaultdict(int)
        self.lock = threading.Lock()
        self.tasks_topic = f"{name}.tasks.{AGENT}"
        self.tails = [Tail(self.tasks_topic, self.take_input), Tail(f"{name}.events", self.take_event),
                      Tail(f"{name}.results", self.take_result), Tail(f"{name}.dlq", self.take_letter)]
        self.admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "log_level": 0})
        self.stopped = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    # ---- each record

    def take_input(self, r):
        self.counts["inputs"] += 1
        place = r.partition, r.offset
        self.inputs[place] = int(dict(r.headers)["chaos"])
        self.new_inputs.append((place, self.inputs[place]))

    def take_event(self, r):
        self.counts["events"] += 1
        data = r.data
        digest = r.header("ce_id").rpartition("/")[2]
        seen = self.tasks[data["task_id"]].events[data["seq"]]
        if digest in seen:
            self.counts["events again"] += 1
        else:
            seen[digest] = r

    def take_result(self, r):
        self.counts["results"] += 1
        self.tasks[r.data["task_id"]].results.append(r)
        self.fresh.append(r)

    def take_letter(self, r):
        self.counts["dead letters"] += 1
        letters = self.letters[r.header("stepmill.id")]
        letters.append(r)
        if len(letters) == 1 and r.header("stepmill.class") != "poison" and r.header("stepmill.redrives") == "0":
            self.to_redrive.append(int(dict(r.headers)["chaos"]))

    # ---- reading

    def run(self):
        while not self.stopped:
            read = 0
            try:
                with self.lock:
                    read = sum(tail.poll(self.schemas) for tail in self.tails)
            except KafkaException:
                self.counts["reads that failed"] += 1
            except Exception as e:  # the lab's own trouble: what is not read must not count as right
                self.fail("the lab itself runs", "reading the topics", "no exception", f"{e!r} {traceback.format_exc()[-900:]}")
            if not read:
                time.sleep(0.2)

    def ends(self, isolation, seconds=30):
        """By a client that is made anew when it fails: librdkafka's goes on asking by the leader epoch that it learned first."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.ask_ends(isolation)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                self.admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "log_level": 0})
                time.sleep(0.5)

    def ask_ends(self, isolation):
        asked = {TopicPartition(t.topic, p): OffsetSpec.latest() for t in self.tails for p in t.partitions}
        found = self.admin.list_offsets(asked, isolation_level=isolation, request_timeout=10)
        return {(tp.topic, tp.partition): future.result(15).offset for tp, future in found.items()}

    def open_transactions(self):
        """Partitions in which a transaction is open: what is committed ends before what is there."""
        there, committed = self.ends(IsolationLevel.READ_UNCOMMITTED), self.ends(IsolationLevel.READ_COMMITTED)
        return {place: (committed[place], end) for place, end in there.items() if committed[place] < end}

    def read_all(self, seconds=60):
        """Reads to where the topics end now; what is missing after that time, else nothing."""
        for tail in self.tails:
            tail.looked = 0.0
        time.sleep(0.5)
        wanted = self.ends(IsolationLevel.READ_UNCOMMITTED)
        deadline = time.monotonic() + seconds
        while True:
            with self.lock:
                at = {(t.topic, p): o for t in self.tails for p, o in t.positions().items()}
            behind = {place: (at.get(place, -1), end) for place, end in wanted.items() if max(at.get(place, 0), 0) < end}
            if not behind or time.monotonic() > deadline:
                return behind
            time.sleep(0.3)

    def forget(self, task_id):
        """The events of a task that were found right; its results stay."""
        task = self.tasks[task_id]
        task.events.clear()

    def stop(self):
        self.stopped = True
        self.thread.join(20)
