"""A steady load on partitions of a world while something is done to its workers or services, and what the callers saw of it."""
import threading
import time
from collections import Counter, defaultdict

from places import TIME_FACTOR
from proof import check_history
from records import new_task
from worker import wait_for
from world import events_by_task

SESSIONS = 5  # per partition: lanes of which several run at once
SLOW = 2  # seconds from submission to result: more is not "as before"


class Load:
    """One task per partition every `every` seconds from `with` to its end, or finish(); results are read as they come."""

    def __init__(self, world, every, prompt="[[fake: steps=2 tools=look]]", partitions=None):
        self.world, self.every, self.prompt = world, every, prompt
        self.partitions = partitions or range(world.partitions)
        self.tasks, self.partition_of = {}, {}
        self.ending, self.read_enough, self.troubles = threading.Event(), threading.Event(), []
        self.results = world.results.records
        self.threads = [threading.Thread(target=self.guarded, args=(work,), daemon=True) for work in (self.submit, self.read)]

    def guarded(self, work):
        try:
            work()
        except BaseException as trouble:  # told by whom it concerns, in finish()
            self.troubles.append(trouble)

    def submit(self):
        number, due = 0, time.monotonic()
        while not self.ending.is_set():
            for p in self.partitions:
                task = new_task(self.prompt, f"load-{number}", f"s-{p}-{number // len(self.partitions) % SESSIONS}")
                self.tasks[task["task_id"]], self.partition_of[task["task_id"]] = task, p
                self.world.writer.send(self.world.tasks_topic(), task["session_id"], self.world.encode(task), partition=p)
                number += 1
            due = max(due + self.every, time.monotonic() - 1)  # after a standstill of this machine: no flood
            self.ending.wait(max(due - time.monotonic(), 0))
        self.world.writer.flush()

    def read(self):
        while not self.read_enough.is_set():
            self.world.results.poll(0.1)

    def __enter__(self):
        self.world.task_schema_id()
        self.began = time.time()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.read_enough.set()
        for thread in self.threads:
            thread.join(60 * TIME_FACTOR)

    def done(self):
        """task_ids of the load that have a result, each as often as it has one."""
        return Counter(r.data["task_id"] for r in list(self.results) if r.data["task_id"] in self.tasks)

    def finish(self, seconds=60):
        """Ends it and waits until each of its tasks has a result."""
        self.ending.set()
        self.threads[0].join(60 * TIME_FACTOR)
        wait_for("a result of each task of the load", seconds, lambda: self.troubles or len(self.done()) == len(self.tasks))
        self.__exit__()
        assert not self.troubles, self.troubles

    # ---- what the callers saw, in seconds of time.time()

    def arrivals(self):
        """partition → when its results came and how long each had taken."""
        found = defaultdict(list)
        for r in list(self.results):
            if task := self.tasks.get(r.data["task_id"]):
                found[self.partition_of[task["task_id"]]].append((r.arrived, r.arrived - task["created_at"] / 1000))
        return found

    def longest_gap(self, since, until=None):
        """The longest time in which nothing of some partition was committed, as far as it reaches into this span: (seconds, partition)."""
        until, found = until or time.time(), self.arrivals()
        gaps = []
        for p in self.partitions:
            times = [self.began, *(at for at, _ in found[p]), *([] if self.ending.is_set() else [time.time()])]
            gaps += [(b - a, p) for a, b in zip(times, times[1:]) if b > since and a < until]
        return max(gaps)

    def recovered_after(self, since):
        """How long after this moment the last result came that had taken longer than SLOW."""
        late = [at for times in self.arrivals().values() for at, took in times if at > since and took > SLOW]
        return max(late, default=since) - since

    def until_recovered(self, since, seconds):
        """Waits until for three seconds no task has waited for longer than SLOW; returns recovered_after()."""
        quiet = time.time()
        while time.time() - quiet < 3:
            assert not self.troubles, self.troubles
            assert time.time() - since < seconds * TIME_FACTOR, f"not as before within {seconds * TIME_FACTOR} s"
            done, now = self.done(), time.time()
            if any(t["created_at"] / 1000 < now - SLOW for t in list(self.tasks.values()) if t["task_id"] not in done):
                quiet = now
            time.sleep(0.2)
        return self.recovered_after(since)

    # ---- the proof

    def check(self):
        """No loss, no duplicate, in order, each history one chain, nothing dead-lettered, lag 0; returns the calls made more than once."""
        world = self.world
        world.settled(60)
        world.results.all()
        done = self.done()
        assert set(done) == set(self.tasks), f"without a result: {sorted(set(self.tasks) - set(done))[:10]}"
        assert not (twice := sorted(t for t, n in done.items() if n > 1)), f"{len(twice)} have more than one result: {twice[:10]}"
        assert not world.dlq.all()
        histories, sessions = events_by_task(world.events.all()), defaultdict(list)
        for r in self.results:
            task_id = r.data["task_id"]
            if task_id in self.tasks:
                assert r.data["status"] == "completed"
                check_history(histories[task_id], r.data)
                sessions[r.data["session_id"]].append(int(task_id.removeprefix("load-")))
        assert all(numbers == sorted(numbers) for numbers in sessions.values()), "results of a key leave in the order of its records"
        assert world.fakes.get("/fakes/stats")["keys"]["forgotten"] == 0
        return [c for c in world.calls() if c["count"] > 1 and c["task"] in self.tasks]
