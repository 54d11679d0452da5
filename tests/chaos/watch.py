"""Looks at the running lab again and again: committed offsets, cells in Redis, and what the workers say of themselves."""
import json
import threading
import time
import traceback
from collections import Counter, defaultdict

import redis
from confluent_kafka import KafkaException

from committed import Finished
from crew import BAD_WORDS, MAX_IN_FLIGHT, PARTITION
from faults import java_hash
from ground import HOST, PLAIN
from offset_fetch import committed

RSS_LIMIT_MIB = 160
ALONE = ("task", "within", "reject", "poison")  # kinds of which a record answers for itself
PATIENCE = 90  # seconds in which the other half of a transaction must show


class Watch:
    def __init__(self, lab):
        self.lab, self.fail, self.stopped = lab, lab.fail, False
        self.finished = defaultdict(Finished)  # partition → …
        self.open = {}  # (partition, offset) → number of what was sent, until its end was seen
        self.since = {}  # (partition, offset) → when it was first seen finished, while its records are still to be seen
        self.cells = defaultdict(dict)  # task_id → seq → when the lab saw it stored
        self.assigned = defaultdict(list)  # partition → when a worker got it
        self.log_events, self.samples = Counter(), Counter()
        self.peak_rss, self.peak_tasks, self.longest_turn, self.longest_text = 0, 0, 0.0, 0
        self.slow = {}  # worker → slow turns of its process, as last seen
        self.threads = [threading.Thread(target=self.again, args=a, daemon=True)
                        for a in ((self.offsets, 2), (self.redis, 0.7), (self.workers, 3), (self.logs, 0.4))]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(30)

    def again(self, look, pause):
        while not self.stopped:
            try:
                look()
                self.samples[look.__name__] += 1
            except (KafkaException, redis.RedisError, OSError):
                self.samples[f"{look.__name__} missed"] += 1
            except Exception as e:  # the lab's own trouble: who does not look must not find nothing
                self.fail("the lab itself runs", look.__name__, "no exception", f"{e!r} {traceback.format_exc()[-900:]}")
            time.sleep(pause)

    # ---- committed offsets

    def offsets(self):
        topic, name = self.lab.books.tasks_topic, self.lab.name
        partitions = sorted(self.lab.books.tails[0].partitions)
        now = time.time()
        leader = self.lab.faults.leader("__consumer_offsets", java_hash(name) % 6)
        for partition, (offset, text) in committed((HOST, PLAIN[leader]), name, topic, partitions).items():
            self.longest_text = max(self.longest_text, len(text))
            try:
                trouble = self.finished[partition].take(offset, text)
            except (ValueError, IndexError) as e:
                trouble = f"the text beside {offset} can't be read: {e}"
            if trouble:
                self.fail("offsets never shrink", f"{topic}/{partition}", "what was finished stays finished", trouble)
        self.both_halves(now)

    def both_halves(self, now):
        """Of a record that was sent once: its offset is finished exactly if its result or dead letter is there, within PATIENCE."""
        lab = self.lab
        fresh, lab.books.new_inputs = lab.books.new_inputs, []
        for place, n in fresh:
            if lab.load.sent[n].kind in ALONE and len(lab.load.by_task[lab.load.sent[n].task_id]) == 1:
                self.open[place] = n
        for place, n in list(self.open.items()):
            sent = lab.load.sent[n]
            done = place[1] in self.finished[place[0]]
            shown = self.shown(sent, place)
            if done and shown:
                self.open.pop(place, None)
                self.since.pop(place, None)
            elif done or shown:
                begun = self.since.setdefault(place, now)
                if now - begun > PATIENCE:
                    self.fail("offset finished ⇔ terminal record", f"{sent} {place}",
                              "both or none", f"finished: {done}, result or dead letter: {shown}, for {now - begun:.0f} s")
                    self.open.pop(place, None)

    def shown(self, sent, place):
        books = self.lab.books
        if sent.kind == "poison":
            return f"{books.tasks_topic}:{place[0]}:{place[1]}" in books.letters
        return bool(books.tasks[sent.task_id].results)

    # ---- Redis

    def redis(self):
        client, prefix = self.lab.redis.primary.client, f"{self.lab.name}:checkpoint:"
        keys = [k.decode() for k in client.scan_iter(f"{prefix}*", count=2000)]
        wanted = [k for k in keys if not self.lab.books.tasks[k[len(prefix):]].results]
        pipeline = client.pipeline(transaction=False)
        for key in wanted:
            pipeline.hkeys(key)
        found = pipeline.execute()
        now = time.time()
        for key, seqs in zip(wanted, found):
            seen = self.cells[key[len(prefix):]]
            for seq in seqs:
                seen.setdefault(int(seq), now)

    # ---- the workers

    def workers(self):
        total = 0
        for w in self.lab.crew:
            if not w.alive():
                continue
            if (rss := w.rss()) is not None:
                self.peak_rss = max(self.peak_rss, rss >> 10)
                if rss >> 10 > RSS_LIMIT_MIB:
                    self.fail("memory is bounded", w.name, f"at most {RSS_LIMIT_MIB} MiB", f"{rss >> 10} MiB")
            if w.halted or (m := w.metrics()) is None:
                continue
            self.longest_turn = max(self.longest_turn, m.get("stepmill_loop_longest_turn_seconds", 0))
            slow, key = m["stepmill_loop_slow_turns"], (w.n, w.started)
            if slow > self.slow.get(key, 0):
                self.fail("no callback over 100 ms of thread CPU", w.name, f"{self.slow.get(key, 0)} slow turns",
                          f"{slow}, longest {m.get('stepmill_loop_longest_turn_seconds')} s")
            self.slow[key] = slow
            tasks = {k: v for k, v in m.items() if k.startswith("stepmill_tasks{")}
            settling = sum(v for k, v in tasks.items() if "settling" in k)
            total += sum(tasks.values())
            # A task that waits for the commit only has given its slot back; nobody is admitted while there are as many of those.
            if sum(tasks.values()) - settling > MAX_IN_FLIGHT + 8 or sum(tasks.values()) > 2 * MAX_IN_FLIGHT + 8:
                self.fail("tasks in flight are bounded", w.name,
                          f"at most {MAX_IN_FLIGHT}, as many again that wait for the commit, and one per partition", tasks)
        self.peak_tasks = max(self.peak_tasks, int(total))

    def logs(self):
        now = time.time()
        for w in self.lab.crew:
            for line in w.new_lines():
                if any(word in line for word in BAD_WORDS):
                    self.fail("no bug lines", w.name, "none", line[:300])
                if m := PARTITION.search(line):
                    self.assigned[int(m[2])].append(now)
                try:
                    self.log_events[json.loads(line)["event"]] += 1
                except (ValueError, KeyError, TypeError):
                    if line.strip() and not line.startswith("%"):
                        self.log_events["(not a log line)"] += 1

    def owners_since(self, partition, begin, end):
        """How often the partition was given to a worker in that time; the log is read up to a second late."""
        return sum(begin - 2 <= t <= end + 2 for t in self.assigned[partition])
