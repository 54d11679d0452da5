"""The faults: each does its deed, notes it, and plans its own end. What cannot be done now is skipped and not counted."""
import random
import subprocess
import time
from collections import Counter, namedtuple

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions

from crew import niced, write_config
from ground import BOOTSTRAP, BROKERS, PROXY

Fault = namedtuple("Fault", "kind target begin end")
SESSION, TRANSACTION = 10, 20  # seconds: the workers' session timeout and transaction timeout
STOPS = ((0.5, 3), (4, 9), (SESSION + 1, SESSION + 7), (TRANSACTION + 8, TRANSACTION + 16))  # shorter and longer than both


def java_hash(text):
    value = 0
    for c in text:
        value = (31 * value + ord(c)) & 0xFFFFFFFF
    return (value - (1 << 32) if value >= 1 << 31 else value) & 0x7FFFFFFF


class Faults:
    def __init__(self, lab):
        self.lab, self.done, self.skipped = lab, [], Counter()
        self.admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "log_level": 0})
        self.chance = random.Random()
        self.losses = []  # when Redis may have lost what it had acknowledged
        self.broker_free_at, self.redis_busy, self.registry_busy, self.rolling = 0.0, False, False, False

    def begin(self, step):
        self.chance = random.Random(step.chance_seed)
        what = getattr(self, step.kind, None)
        try:
            told = what() if what else self.on_link(step.kind)
        except (OSError, KafkaException, redis.RedisError, subprocess.SubprocessError) as e:
            self.lab.note(f"fault {step.kind} could not be done: {e!r}")
            told = None
        if told is None:
            self.skipped[step.kind] += 1
            return
        target, seconds = told
        now = time.time()
        self.done.append(Fault(step.kind, target, now, now + seconds))
        self.lab.note(f"fault {step.kind}: {target} for {seconds:.1f} s")

    def later(self, seconds, what):
        self.lab.later(seconds, what)

    # ---- workers

    def pick_worker(self):
        free = [w for w in self.lab.crew if w.alive() and not w.busy]
        if len(free) < 2:  # one must go on
            return None
        worker = self.chance.choice(free)
        worker.busy = True
        return worker

    def start_worker(self, worker):
        worker.start()
        worker.busy = False

    def worker_kill(self):
        if not (w := self.pick_worker()):
            return None
        pause = self.chance.choice([0.1, 0.5, 2, 6, 13])
        w.kill()
        self.later(pause, lambda: self.start_worker(w))
        return w.name, pause

    def worker_stop(self):
        if not (w := self.pick_worker()):
            return None
        seconds = self.chance.uniform(*self.chance.choices(STOPS, (3, 3, 2, 1))[0])

        def wake():
            w.go_on()
            w.busy = False

        w.halt()
        self.later(seconds, wake)
        return w.name, seconds

    def worker_term(self):
        if not (w := self.pick_worker()):
            return None
        self.lab.retire(w, lambda: self.start_worker(w))
        return w.name, 2

    def rolling_restart(self):
        if self.rolling or any(w.busy for w in self.lab.crew):
            return None
        self.rolling = True
        waiting = list(self.lab.crew)

        def following():
            if not waiting:
                self.rolling = False
                return
            w = waiting.pop(0)
            if w.busy or not w.alive():  # another fault has it by now
                following()
                return
            w.busy = True

            def again():
                self.start_worker(w)
                self.later(3, following)

            self.lab.retire(w, again)

        following()
        return "all workers", 30

    def reload(self):
        interval = self.chance.choice(["20ms", "50ms", "100ms", "200ms"])
        write_config(self.lab.name, self.lab.folder, commit_interval=interval, events_interval=self.chance.choice(["100ms", "200ms", "1s"]))
        for w in self.lab.crew:
            if not w.busy and w.started_up():
                w.reload()
        return f"commit_interval {interval}", 0

    def clock_jump(self):
        w = self.chance.choice(self.lab.crew)
        hours = self.chance.choice([-9, -2, -0.5, -0.01, 0.01, 0.3, 0.9, 3])
        w.set_clock(int(hours * 3600e9), w.jumps()[1])
        return f"{w.name} {hours:+} h", 0

    def boot_gap(self):
        w = self.chance.choice(self.lab.crew)
        seconds = self.chance.choice([3, SESSION + 2, 60, 3600])
        w.set_clock(w.jumps()[0], w.jumps()[1] + int(seconds * 1e9))
        return f"{w.name} {seconds} s", 0

    # ---- brokers

    def pick_broker(self):
        """One on purpose: the leader of a partition, the group's coordinator, or a transaction coordinator."""
        if time.time() < self.broker_free_at or not all(b.alive() and not b.halted for b in self.lab.brokers) or not self.in_sync():
            return None
        topic, partition, why = self.chance.choice([
            (self.lab.books.tasks_topic, self.chance.randrange(6), "leader of tasks"),
            (f"{self.lab.name}.results", self.chance.randrange(6), "leader of results"),
            ("__consumer_offsets", java_hash(self.lab.name) % 6, "group coordinator"),
            ("__transaction_state", java_hash(self.lab.transactional_id(self.chance.randrange(3))) % 6, "transaction coordinator")])
        try:
            leader = self.leader(topic, partition)
        except OSError:  # whatever: any broker will do
            leader = -1
        if leader not in BROKERS:
            leader, why = self.chance.choice(BROKERS), "any"
        return self.lab.brokers[leader - 1], why

    def in_sync(self):
        """Whether the broker hit before has caught up; on a slow machine that takes longer than planned, and two at a time are too many."""
        topics = self.admin.list_topics(timeout=3).topics.values()
        return all(len(p.isrs) == len(p.replicas) for topic in topics for p in topic.partitions.values())

    def leader(self, topic, partition):
        """The broker that leads it now; of the two internal topics: the coordinator of what falls into that partition."""
        try:
            found = self.admin.list_topics(topic, timeout=3).topics[topic].partitions[partition].leader
        except (KafkaException, KeyError) as e:
            raise OSError(f"no metadata of {topic}") from e
        if found not in BROKERS:
            raise OSError(f"nobody leads {topic}/{partition}")
        return found

    def broker_busy(self, seconds):
        self.broker_free_at = time.time() + seconds + 12  # time to start and to catch up

    def broker_kill(self):
        if not (picked := self.pick_broker()):
            return None
        broker, why = picked
        pause = self.chance.choice([0.5, 2, 6, 11])
        self.broker_busy(pause)
        broker.kill()
        self.later(pause, broker.start)
        return f"{broker.name} ({why})", pause

    def broker_stop(self):
        if not (picked := self.pick_broker()):
            return None
        broker, why = picked
        seconds = self.chance.uniform(*self.chance.choice([(1, 4), (5.2, 8.7), (10, 15)]))
        self.broker_busy(seconds)
        broker.halt()
        self.later(seconds, broker.go_on)
        return f"{broker.name} ({why})", seconds

    def broker_term(self):
        if not (picked := self.pick_broker()):
            return None
        broker, why = picked
        self.broker_busy(10)
        self.lab.retire(broker, broker.start)
        return f"{broker.name} ({why})", 5

    def disk_full(self):
        broker = self.lab.brokers[-1]
        if not broker.disk or self.pick_broker() is None:
            return None
        self.broker_busy(10)

        def space():
            broker.kill()
            broker.free_disk()
            self.later(1, broker.start)

        self.later(8, space)  # planned first: filling may fail half-way
        broker.fill_disk()
        return broker.name, 9

    def grow(self):
        try:
            self.admin.create_partitions([NewPartitions(self.lab.books.tasks_topic, 8)])[self.lab.books.tasks_topic].result(20)
        except Exception as e:
            self.lab.note(f"the topic did not grow yet: {e}")
            self.later(5, lambda: self.begin(self.lab.grow_step))
            return None
        self.lab.load.partitions = 8
        return "tasks 6 → 8", 0

    # ---- registry and Redis

    def registry_kill(self):
        return self.registry("kill")

    def registry_stop(self):
        return self.registry("halt")

    def registry(self, how):
        registry = self.lab.registry
        if self.registry_busy or not registry.alive():
            return None
        self.registry_busy, seconds = True, self.chance.uniform(1, 12)
        getattr(registry, how)()

        def back():
            registry.start() if how == "kill" else registry.go_on()
            self.registry_busy = False

        self.later(seconds, back)
        return registry.name, seconds

    def redis_free(self):
        pair = self.lab.redis
        return not self.redis_busy and pair.primary.alive() and pair.replica.alive()

    def redis_kill(self):
        if not self.redis_free():
            return None
        self.redis_busy, seconds = True, self.chance.choice([0.2, 1, 3, 8])
        server = self.chance.choices(self.lab.redis.both, [3 if s is self.lab.redis.primary else 1 for s in self.lab.redis.both])[0]
        server.kill()
        self.later(seconds, lambda: self.redis_back(server))
        return server.name, seconds

    def redis_back(self, server):
        self.lab.redis.restart(server)
        self.redis_busy = False

    def redis_stop(self):
        if not self.redis_free():
            return None
        self.redis_busy, seconds = True, self.chance.uniform(0.5, 12)
        server = self.lab.redis.primary
        server.halt()

        def back():
            server.go_on()
            self.redis_busy = False

        self.later(seconds, back)
        return server.name, seconds

    def redis_failover(self):
        """In good order: the replica has everything before it takes over."""
        pair = self.lab.redis
        if not self.redis_free() or not pair.in_step():
            return None
        try:
            pair.primary.client.execute_command("CLIENT", "PAUSE", "5000", "WRITE")
            written = pair.primary.client.info("replication")["master_repl_offset"]
            deadline = time.time() + 3
            while pair.replica.client.info("replication")["slave_repl_offset"] < written:
                if time.time() > deadline:
                    pair.primary.client.execute_command("CLIENT", "UNPAUSE")
                    return None
            pair.promote()
        except redis.RedisError:
            return None
        self.lab.proxy.do("target", "redis", target=["127.0.0.1", pair.primary.port])
        pair.follow()
        return f"to {pair.primary.name}", 1

    def redis_dirty_failover(self):
        """The primary dies with what the replica had not yet: acknowledged cells may be lost."""
        pair = self.lab.redis
        if not self.redis_free() or not pair.in_step():
            return None
        self.redis_busy, old = True, pair.primary
        old.kill()
        pair.promote()
        self.losses.append(time.time())
        self.later(0.5, lambda: self.lab.proxy.do("target", "redis", target=["127.0.0.1", pair.primary.port]))
        self.later(3, lambda: self.redis_back(old))
        return f"to {pair.primary.name}", 3

    def redis_flush(self):
        if not self.redis_free():
            return None
        try:
            self.lab.redis.primary.client.flushall()
        except redis.RedisError:
            return None
        self.losses.append(time.time())
        return self.lab.redis.primary.name, 0

    # ---- links

    def on_link(self, kind):
        chance = self.chance
        kafka = [name for name in PROXY if name.startswith("kafka")]
        link = chance.choice(kafka) if kind == "endtxn" or chance.random() < 0.5 else chance.choice(["redis", "redis", "registry", "model", "tools"])
        seconds = chance.choice([0.5, 2, 4, 7, 12])
        more = {"dir": chance.choice(["up", "down", "both"]), "share": chance.choice([1.0, 1.0, 0.5, 0.3]), "for": seconds}
        if kind == "delay":
            more.update(low=chance.choice([0, 0.02, 0.2]), high=chance.choice([0.3, 0.8, 2.0]))
        elif kind == "endtxn":
            # the coordinator's answer late or lost, or the request itself late while the client has a new connection
            more.update(mode=chance.choice(["reply", "lost", "late"]), window=10.0)
            seconds = more["for"] = chance.choice([1.5, 3, 6, 9])
        elif kind == "half_close":
            more["dir"] = chance.choice(["up", "down"])
        elif kind == "cut":
            seconds = more["for"] = 0
        struck = self.lab.proxy.do(kind, link, **more)
        if not struck and kind in ("cut", "half_close", "late"):
            return None  # nobody was connected; the others strike whoever connects while they last
        return f"{link} {more.get('mode', more['dir'])}", seconds

    # ---- for the checker

    def overlapping(self, kinds, targets, begin, end):
        return [f for f in self.done if f.kind in kinds and f.target.split()[0] in targets and f.begin - 1 <= end and f.end + 3 >= begin]

    def lost_between(self, begin, end):
        return any(begin <= t + 2 and t - 2 <= end for t in self.losses)

    def calm(self):
        """Ends what is still under way on the links and clocks; what is stopped wakes up by itself."""
        self.lab.proxy.do("heal")
        for w in self.lab.crew:
            w.set_clock(0, w.jumps()[1])

    @staticmethod
    def nice_all(servers, by):
        for server in servers:
            niced(server.process.pid, by)
