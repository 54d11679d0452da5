"""The lab: brings all of it up, lets the schedule run, and knows who is who."""
import heapq
import itertools
import json
import os
import socket
import sys
import threading
import time

from records import Schemas

import plan
from books import Books
from crew import make_workers, write_config, write_tools
from faults import Faults, java_hash
from ground import BROKERS, WORKERS
from load import Load
from servers import Broker, Fakes, Proxy, RedisPair, Registry, port_open, wait_until
from verdict import Verdict
from watch import Watch

UP_SECONDS = 180


class Lab:
    def __init__(self, options):
        self.options, self.folder, self.name = options, options.out, f"c{options.seed}"
        self.violations, self.lock, self.began = [], threading.Lock(), time.time()
        self.log = open(self.folder / "lab.log", "a", encoding="utf-8")
        self.planned, self.numbers = [], itertools.count()
        self.own_exits, self.parts = [], []
        self.retiring = []  # (server, deadline, what then)
        build, libs = options.build, options.kafka_libs
        self.brokers = [Broker(n, self.folder / f"broker-{n}", libs, options.heap) for n in BROKERS]
        self.registry = Registry(self.folder / "registry", options.registry_home)
        self.redis = RedisPair(self.folder)
        self.fakes = Fakes(self.folder / "fakes", build / "stepmill-fakes", options.seed)
        self.proxy = Proxy(self.folder / "proxy", options.seed, sys.executable)
        write_tools(self.folder)
        self.config = write_config(self.name, self.folder)
        self.crew = make_workers(self.folder, build / "stepmill", self.config, options.shim)
        self.grow_step = plan.Step(0, "grow", 0)

    # ---- what is told

    def note(self, text):
        now = time.time()
        line = f"{time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d} {now - self.began:7.1f} {text}"
        with self.lock:
            print(line, flush=True)
            print(line, file=self.log, flush=True)

    def fail(self, rule, what, expected, seen):
        text = f"VIOLATION [{rule}] {what}: expected {str(expected)[:600]}, seen {str(seen)[:1500]}"
        self.violations.append(text)
        self.note(text)

    def transactional_id(self, slot):
        return f"{self.name}-worker-{socket.gethostname()}-{slot}"

    # ---- up and down

    def up(self):
        for process in [b.format() for b in self.brokers]:
            if process.wait(UP_SECONDS):
                raise RuntimeError(f"a broker's storage could not be made: see {self.folder}/broker-*/format.log")
        for server in (*self.brokers, self.registry, self.redis, self.fakes, self.proxy):
            server.start()
        wait_until("the registry answers", UP_SECONDS, self.registry.answers)
        for b in self.brokers:
            wait_until(f"{b.name} listens", UP_SECONDS, lambda b=b: port_open(b_port(b)))
        for command in (("topics", "create"), ("schemas", "register")):
            self.stepmill(*command)
        schemas = Schemas()
        self.books = Books(self.name, schemas, self.fail)
        self.load = Load(self.name, self.options.seed, self.options.rate, schemas)
        self.faults, self.watch, self.verdict = Faults(self), Watch(self), Verdict(self)
        self.parts = [self.load, self.watch, self.books]
        for w in self.crew:
            w.start()
        self.books.thread.start()
        self.watch.start()
        self.load.start()
        wait_until("the workers read all partitions", UP_SECONDS, lambda: len(self.watch.assigned) == 6)
        self.note(f"up after {time.time() - self.began:.0f} s: run {self.name}, seed {self.options.seed}, group coordinator's partition "
                  f"{java_hash(self.name) % 6}, folder {self.folder}")

    def stepmill(self, *arguments):
        """A command of the product, repeated until the cluster is ready for it."""
        def tried():
            process = os.spawnlp(os.P_WAIT, "sh", "sh", "-c", f"{self.options.build}/stepmill {' '.join(arguments)} --config {self.config} "
                                 f">> {self.folder}/commands.log 2>&1")
            return process == 0

        wait_until(f"stepmill {' '.join(arguments)}", UP_SECONDS, tried, 1)

    def down(self):
        for part in self.parts:  # as many as there came to be
            part.stop()
        for server in (*self.crew, self.fakes, self.proxy, self.registry):
            server.kill()
        self.redis.close()
        for b in self.brokers:
            b.close()

    # ---- the schedule

    def later(self, seconds, what):
        heapq.heappush(self.planned, (time.time() + seconds, next(self.numbers), what))

    def retire(self, server, then):
        """SIGTERM now; when it has gone, `then`. A worker must leave with 0."""
        server.go_on()
        server.signal(15)
        self.retiring.append((server, time.time() + 45, then))

    def turn(self):
        """One look at what is due and at who has ended."""
        while self.planned and self.planned[0][0] <= time.time():
            heapq.heappop(self.planned)[2]()
        for entry in list(self.retiring):
            server, deadline, then = entry
            if not server.alive():
                code = server.process.returncode
                if server in self.crew and code != 0:
                    self.own_exit(server, code, "after SIGTERM")
            elif time.time() > deadline:
                if server in self.crew:
                    self.fail("a worker leaves within its drain timeout", server.name, "45 s", "still there")
                server.kill()
            else:
                continue
            self.retiring.remove(entry)
            then()
        self.supervise()

    def supervise(self):
        """Restarts who ended by itself, as a platform would, and tells."""
        for w in self.crew:
            if not w.busy and not w.alive():
                self.own_exit(w, w.process.returncode, "by itself")
                w.start()
        for b in self.brokers:
            if not b.alive() and time.time() > self.faults.broker_free_at + 10:
                self.note(f"{b.name} ended by itself with {b.process.returncode}; it is started again")
                b.start()
        if not self.registry.alive() and not self.faults.registry_busy:  # it gives up when its start takes too long
            self.note(f"the registry ended by itself with {self.registry.process.returncode}; it is started again")
            self.registry.start()
        for server in (self.fakes, self.proxy):
            if not server.alive():
                raise RuntimeError(f"{server.name} ended: see {server.folder}/log")

    def own_exit(self, worker, code, when):
        tail = worker_end(worker)
        if code == -15 and not worker.started_up():
            self.note(f"{worker.name} was told to end before it had a handler for that")
            return
        self.own_exits.append((worker.name, code))
        if code == 1 and "fenced" in tail:
            self.note(f"{worker.name} ended {when} with 1, fenced: {tail[-300:]}")
        else:
            self.fail("a worker ends only when it is told to", worker.name, f"alive ({when})", f"exit {code}: {tail[-600:]}")

    def run_for(self, seconds, each=lambda: None):
        end = time.time() + seconds
        while time.time() < end:
            self.turn()
            each()
            time.sleep(0.05)

    def idle(self):
        return not self.planned and not self.retiring


def b_port(broker):
    from ground import PLAIN
    return PLAIN[broker.n]


def worker_end(worker):
    with open(worker.folder / "log", "rb") as f:
        f.seek(max(f.seek(0, 2) - 6000, 0))
        return f.read().decode(errors="replace")
