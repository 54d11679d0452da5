"""The chaos lab's main program: nine minutes of faults, a quiet one with all checks, and again; see tools/chaos --help."""
import argparse
import json
import pathlib
import random
import resource
import signal
import sys
import time
from collections import Counter

from confluent_kafka import IsolationLevel, KafkaException

import ground  # noqa: F401  first: it sets the paths and addresses of what follows
import plan
from lab import Lab

DRAIN_SECONDS = 180  # in which each partition that lags must get further: a slow machine may take longer in all, a stuck one shows
DRAIN_LIMIT = 900
QUIET = 60


def options():
    p = argparse.ArgumentParser(prog="tools/chaos")
    p.add_argument("--seed", type=int, default=random.randrange(1, 1000000), help="of the schedule and of the load")
    p.add_argument("--minutes", type=float, default=10, help="faults and quiet minutes together; starting and the last check come on top")
    p.add_argument("--rate", type=float, default=20, help="tasks per second")
    p.add_argument("--every", type=float, default=4.5, help="seconds from one fault to the next, on average")
    p.add_argument("--only", help="comma-separated kinds of faults; default: all")
    p.add_argument("--heap", default="384m", help="of each broker's Java")
    p.add_argument("--build", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--shim", type=pathlib.Path, required=True)
    p.add_argument("--kafka-libs", type=pathlib.Path, required=True)
    p.add_argument("--registry-home", type=pathlib.Path, required=True)
    return p.parse_args()


class Run:
    def __init__(self, o):
        self.options, self.lab = o, Lab(o)
        self.recoveries, self.lagging, self.planned = [], [], 0

    def go(self):
        lab, o = self.lab, self.options
        lab.up()
        lab.load.running.set()
        lab.run_for(5)
        left = o.minutes * 60
        only = set(o.only.split(",")) if o.only else None
        part = 0
        while left > 0:
            fault_time = min(left - QUIET, 540) if left > QUIET else left
            steps = plan.make(f"{o.seed}/{part}", fault_time, o.every, only)
            self.write_schedule(part, steps)
            self.faults(fault_time, [s for s in steps if s.kind != "grow" or part == 0])
            left -= fault_time
            begun = time.time()
            self.quiet()
            if left > QUIET:
                lab.load.running.set()
                lab.run_for(max(QUIET - (time.time() - begun), 1))
            left -= QUIET
            part += 1
        return self.finish()

    def write_schedule(self, part, steps):
        with open(self.options.out / "schedule.jsonl", "a", encoding="utf-8") as f:
            for s in steps:
                f.write(json.dumps({"part": part, "at": round(s.at, 2), "kind": s.kind, "chance_seed": s.chance_seed}) + "\n")

    def faults(self, seconds, steps):
        """The steps at their times; a late one (the machine is slow) comes at once."""
        lab, waiting, begun = self.lab, list(steps), time.time()
        self.planned += len(steps)

        def each():
            self.redrive()
            if waiting and begun + waiting[0].at <= time.time():
                lab.faults.begin(waiting.pop(0))

        lab.run_for(seconds, each)

    def redrive(self):
        lab = self.lab
        numbers, lab.books.to_redrive = lab.books.to_redrive, []
        for n in numbers:
            sent = lab.load.sent[n]
            if not sent.redrive:
                lab.load.redrive(sent, 1)

    # ---- the quiet minute

    def quiet(self):
        """No faults, no new tasks: all must be finished soon, and everything must be right."""
        lab = self.lab
        lab.note("quiet: the faults end")
        while not lab.idle():
            lab.turn()
            time.sleep(0.05)
        lab.faults.calm()
        lab.load.pause()
        self.wait_for_services()
        begun = time.time()
        why = self.drain(begun + DRAIN_LIMIT)
        self.recoveries.append(time.time() - begun)
        if why:
            lab.fail("after the faults the lag goes to 0", lab.name, f"progress within {DRAIN_SECONDS} s", why)
            return  # what is not finished cannot be judged; the next quiet minute does
        lab.note(f"drained after {self.recoveries[-1]:.0f} s")
        for thread in (*lab.load.threads, *lab.watch.threads, lab.books.thread):
            if not thread.is_alive():
                lab.fail("the lab itself runs", thread.name, "all of its threads", "one has ended")
        try:
            behind = lab.books.read_all()
            if behind:
                lab.fail("no transaction stays open", lab.name, "all topics readable to their ends", behind)
            lab.verdict.check()
            self.at_rest()
        except Exception as e:  # the lab's own trouble: no verdict is not a good verdict
            lab.fail("the check itself runs", type(e).__name__, "no exception", e)
            raise
        self.show()

    def wait_for_services(self):
        """Their recovery is not the workers': on a crowded machine a Java process takes minutes to start."""
        lab, deadline = self.lab, time.time() + DRAIN_LIMIT
        while time.time() < deadline:
            lab.run_for(1)
            try:
                if lab.faults.in_sync() and lab.registry.answers() and lab.redis.primary.answers() and all(w.started_up() for w in lab.crew):
                    return
            except (KafkaException, OSError) as e:
                lab.note(f"Kafka is not there yet: {e}")
        lab.note("the services did not all come back")

    def drain(self, deadline):
        lab, last = self.lab, "nothing was seen"
        calm, moved, stuck_since = 0, {}, time.time()
        while time.time() < min(deadline, stuck_since + DRAIN_SECONDS):
            lab.turn()
            self.redrive()
            time.sleep(0.5)
            last = self.busy()
            calm = 0 if last else calm + 1
            if calm >= 4:
                return None
            here = {p: (lab.watch.finished[p].watermark, time.time()) for p in self.lagging}
            moved = {p: moved[p] if p in moved and moved[p][0] == now[0] else now for p, now in here.items()}
            stuck_since = min((moved[p][1] for p in self.lagging), default=stuck_since)
        return last

    def busy(self):
        """What is not finished yet, as text; `lagging` are the partitions."""
        lab, self.lagging = self.lab, []
        if not lab.load.dry():
            return f"{len(lab.load.producer)} records of the lab are not in Kafka yet"
        try:
            ends = {p: end for (topic, p), end in lab.books.ends(IsolationLevel.READ_UNCOMMITTED).items() if topic == lab.books.tasks_topic}
        except Exception as e:
            return f"Kafka does not tell the ends: {e}"
        lag = {p: (lab.watch.finished[p].watermark, end) for p, end in ends.items() if lab.watch.finished[p].watermark < end}
        self.lagging = list(lag)
        return f"(watermark, end) of partitions: {lag}" if lag else None

    def at_rest(self):
        """Nothing in flight, nothing paused, no open transaction, cells in Redis as committed."""
        lab, deadline = self.lab, time.time() + 45
        while True:
            troubles = self.restless()
            if not troubles or time.time() > deadline:
                break
            lab.run_for(1)
        for rule, what, seen in troubles:
            lab.fail(rule, what, "none", seen)
        counts = lab.proxy.do("counts")
        negative = sum(c.get("negative_generation", 0) for c in counts.values())
        if negative:
            lab.fail("no commit with generation < 0", "proxy", 0, negative)
        self.left_cells()

    def restless(self):
        lab, found = self.lab, []
        for w in lab.crew:
            m = w.metrics()
            if m is None:
                found.append(("a worker answers", w.name, "no answer on /metrics"))
                continue
            for name in ("stepmill_partitions_paused", "stepmill_records_waiting"):
                if m.get(name):
                    found.append(("nothing stays paused or waiting", w.name, f"{name} {m[name]:.0f}"))
            if tasks := {k: v for k, v in m.items() if k.startswith("stepmill_tasks{") and v}:
                found.append(("nothing stays in flight", w.name, tasks))
        try:
            if opened := lab.books.open_transactions():
                found.append(("no transaction stays open", lab.name, opened))
        except Exception as e:
            found.append(("Kafka answers", lab.name, e))
        return found

    def left_cells(self):
        """What Redis still holds of tasks that ended is what was committed."""
        lab, client, prefix = self.lab, self.lab.redis.primary.client, f"{self.lab.name}:checkpoint:"
        kept = 0
        for key in list(client.scan_iter(f"{prefix}*", count=2000)):
            task = lab.books.tasks.get(key.decode()[len(prefix):])
            if not task or not task.events:
                continue
            kept += 1
            digests = {int(seq): value[:16].hex() for seq, value in client.hgetall(key).items()}
            strange = {seq: d for seq, d in digests.items() if d not in task.events.get(seq, {})}
            if strange:
                lab.fail("cells are committed events", key.decode(), "each cell in agent.events", strange)
        lab.note(f"cells of {kept} tasks that ended are the committed events")

    # ---- the end

    def summary(self):
        lab, watch = self.lab, self.lab.watch
        kinds = Counter(f.kind for f in lab.faults.done)
        return {
            "seed": self.options.seed, "minutes": self.options.minutes, "rate": self.options.rate,
            "faults": sum(kinds.values()), "kills or stops": sum(n for k, n in kinds.items() if k in plan.KILLS_AND_STOPS),
            "by kind": dict(sorted(kinds.items())), "skipped": dict(lab.faults.skipped), "violations": len(lab.violations),
            "records": dict(lab.books.counts), "checked": dict(lab.verdict.counts), "transactions taken back": lab.load.aborted,
            "producers replaced": dict(lab.load.replaced),
            "seconds to drain": [round(s, 1) for s in self.recoveries], "workers' own exits": lab.own_exits,
            "peak RSS MiB": watch.peak_rss, "peak tasks in flight": watch.peak_tasks, "longest turn s": watch.longest_turn,
            "longest metadata": watch.longest_text, "log events": dict(watch.log_events.most_common(60)), "samples": dict(watch.samples),
            "proxy": lab.proxy.do("counts"), "wall s": round(time.time() - lab.began),
            "lab's own MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}

    def show(self):
        s = self.summary()
        self.lab.note(f"so far: {s['faults']} faults, {s['kills or stops']} of them kills or stops, {s['records']}, checked {s['checked']}, "
                      f"violations {s['violations']}")

    def it_looked(self):
        """A run in which little struck, or of which little was seen, has shown nothing."""
        lab, s = self.lab, self.summary()
        samples, checked = s["samples"], s["checked"]
        generations = Counter()
        for link in s["proxy"].values():
            generations.update({k: n for k, n in link.items() if k.startswith("generations")})
        for what, seen in (
                ("most of the planned faults", s["faults"] * 2 >= self.planned),
                *((look, samples.get(look, 0) > samples.get(f"{look} missed", 0)) for look in ("offsets", "redis", "workers", "logs")),
                *((what, checked.get(what)) for what in ("tasks checked", "results in order", "steps")),
                ("each commit's generation", generations["generations read"] and not generations["generations unread"])):
            if not seen:
                lab.fail("the lab itself looks", what, "seen", {"planned": self.planned, "done": s["faults"], **samples, **checked, **generations})

    def finish(self):
        self.it_looked()
        lab, s = self.lab, self.summary()
        (self.options.out / "summary.json").write_text(json.dumps(s, indent=1), encoding="utf-8")
        for key in ("by kind", "skipped", "producers replaced", "records", "checked", "seconds to drain", "workers' own exits", "peak RSS MiB", "longest turn s"):
            lab.note(f"{key}: {s[key]}")
        for line in lab.violations:
            print(line)
        lab.note(f"{'FAILED' if lab.violations else 'passed'}: seed {s['seed']}, {s['faults']} faults ({s['kills or stops']} kills or stops), "
                 f"{s['records'].get('results', 0)} results, {s['violations']} violations; logs in {self.options.out}")
        return bool(lab.violations)

    def tell_cost(self):
        """After all processes have ended: what they used."""
        used = sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        wall = time.time() - self.lab.began
        self.lab.note(f"{used:.0f} s of CPU in {wall:.0f} s, all processes together: {used / wall:.2f} cores")


def stopped(number, _):
    raise KeyboardInterrupt(f"signal {number}")


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    run = Run(options())
    try:
        return run.go()
    except BaseException as e:
        run.lab.note(f"the lab ended early: {type(e).__name__} {e}")
        raise
    finally:
        run.lab.down()
        run.tell_cost()


sys.exit(main())
