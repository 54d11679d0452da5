"""The checker: holds what lies in Kafka, in Redis and in the fakes' counts against what was sent and what struck it."""
import itertools
import time
from collections import Counter, defaultdict

from proof import ENDS, chain, check_history

from servers import Fakes

HTTP = ("model", "tools")
HTTP_FAULTS = ("delay", "hold", "drop", "half_close", "cut", "refuse", "late")
RETRY_PAUSE = 0.2  # seconds: the least between two attempts, as configured


class Verdict:
    def __init__(self, lab):
        self.lab, self.fail = lab, lab.fail
        self.order = {}  # lane → offset of the newest result
        self.checked_inputs = set()
        self.counts = Counter()
        self.calls = defaultdict(list)  # task_id → what the fakes counted
        self.done_tasks = set()

    def check(self):
        """All that is to be true when everything sent is finished."""
        lab, books = self.lab, self.lab.books
        sent = lab.load.sent
        present = defaultdict(list)
        for place, n in list(books.inputs.items()):
            present[sent[n].task_id].append((sent[n], place))
            self.acknowledged(sent[n], place)
        places = {n: place for place, n in books.inputs.items()}
        for s in list(sent):
            if s.place and s.n not in places:
                self.fail("Kafka keeps what it acknowledged", s, "in the topic", "not there")
        self.fetch_calls(present)
        for task_id, records in present.items():
            if task_id not in self.done_tasks or self.news(task_id, records):
                self.task(task_id, records)
        for task_id, task in list(books.tasks.items()):
            if task.results and task_id not in present:
                self.fail("no result of nothing", task_id, "no record in the topic, no result", task.results[0].data)
        known = {f"{books.tasks_topic}:{p}:{o}" for p, o in books.inputs}
        for letter_id in list(books.letters):
            if letter_id not in known:
                self.fail("no dead letter of nothing", letter_id, "a record there", "none")
        self.in_order(present)

    def acknowledged(self, sent, place):
        if sent.place and sent.place != place and place not in self.checked_inputs:
            self.fail("each record lies where Kafka said", sent, sent.place, place)
        self.checked_inputs.add(place)

    def news(self, task_id, records):
        task = self.lab.books.tasks[task_id]
        return len(task.results) + len(records) != task.verified.get("size")

    def lost(self, records):
        """Whether Redis lost data while this task had anything to lose: from its first record to its last sign of life."""
        task_id = records[0][0].task_id
        results = self.lab.books.tasks[task_id].results
        signs = [s.at for s, _ in records] + [r.arrived for r in results] + [c["last_at"] for c in self.calls.get(task_id, ())]
        return self.lab.faults.lost_between(min(signs), max(signs) if results else time.time())

    # ---- one task

    def task(self, task_id, records):
        books = self.lab.books
        task = books.tasks[task_id]
        kinds = Counter(s.kind for s, _ in records)
        self.counts["tasks checked"] += task_id not in self.done_tasks
        self.letters_of(records)
        if kinds["poison"]:
            self.poison(task_id, task, records)
        else:
            self.results(task_id, task, records, kinds)
        self.steps(task_id, records)
        task.verified["size"] = len(task.results) + len(records)
        self.done_tasks.add(task_id)
        self.lab.watch.cells.pop(task_id, None)

    def poison(self, task_id, task, records):
        (sent, place), = records
        expected = {True: (1,), False: (0,), None: (0, 1)}[sent.answered]
        if len(task.results) not in expected:
            self.fail("one terminal result", sent, f"{expected} results", len(task.results))
        for r in task.results:
            if (r.data["status"], r.data["error"], r.data["history"]) != ("failed", sent.code, ""):
                self.fail("poison says what it is", sent, sent.code, r.data)
        letter, = books_letters(self.lab, place)[:1] or (None,)
        if letter is None or (letter.header("stepmill.class"), letter.header("stepmill.code")) != ("poison", sent.code):
            self.fail("poison says what it is", f"{sent} {place}", f"one dead letter, code {sent.code}", letter and letter.headers)

    def results(self, task_id, task, records, kinds):
        by_number = Counter(r.data["redrives"] for r in task.results)
        loss = self.lost(records)
        wanted = {0} if any(s.kind not in ("redrive", "conflict") for s, _ in records) else set()
        wanted |= {s.redrive for s, _ in records if s.redrive}
        wrong = {n: by_number[n] for n in wanted | set(by_number) if by_number[n] != (n in wanted)}
        if wrong and loss and not any(by_number[n] < 1 for n in wanted):
            self.counts["more results after Redis lost data"] += 1
        elif wrong and not (kinds["conflict"] and wanted == {0} and by_number[0] == 1):
            self.fail("one terminal result per task_id and redrive", f"{task_id} {[(s.kind, p) for s, p in records]}",
                      {n: 1 for n in wanted}, dict(by_number))
        for r in task.results:
            if (r.partition, r.offset) not in task.verified:
                self.result(task_id, task, r, records, loss)
        if all(r.data["status"] == "completed" or r.data["redrives"] for r in task.results[-1:]):
            self.lab.books.forget(task_id)  # a failed task may yet be redriven: its events are part of that history too

    def result(self, task_id, task, r, records, loss):
        data, kinds = r.data, {s.kind for s, _ in records}
        self.counts[f"results {data['status']}"] += 1
        if data["status"] == "completed" and data["output"] != f"ok {task_id}" and "conflict" not in kinds:
            self.fail("the answer is the task's own", task_id, f"ok {task_id}", data["output"])
        if data["status"] != "completed" and not (b"=400x" in (records[0][0].value or b"") and data["status"] == "failed"):
            self.counts[f"results {data['error']}"] += 1
            struck = self.lab.faults.overlapping(HTTP_FAULTS, HTTP, min(s.at for s, _ in records), r.arrived)
            if not struck and not loss:
                self.fail("no fault of the workers' fails a task", task_id, "completed", f"{data['status']} {data['error']}")
        events = self.prove(task_id, task, data)
        task.verified[r.partition, r.offset] = origin_of(events) if events else None
        kept = {len(books_letters(self.lab, place)) for place in [task.verified[r.partition, r.offset]] if place}
        if kept and kept != {int(data["status"] == "failed")}:
            self.fail("a failed task has one dead letter", task_id, int(data["status"] == "failed"), kept)

    def prove(self, task_id, task, data):
        """The committed events that the result's history names, from the first on; None if there are none."""
        for seq, seen in sorted(task.events.items()):
            end = seen.get(data["history"])
            if end is None or end.kind not in ENDS:
                continue
            before = [list(task.events.get(s, {}).values()) for s in range(seq)]
            for way in itertools.islice(itertools.product(*before), 4096):
                events = [*way, end]
                if chain(events)[-1].hex() == data["history"]:
                    try:
                        check_history(events, data)
                    except AssertionError as e:
                        self.fail("a history is whole", task_id, "the chain of DELIVERY §2", f"{e!r} {[x.kind for x in events]}")
                    return events
        self.fail("the events are there that history names", task_id, data["history"],
                  {s: {d: e.kind for d, e in seen.items()} for s, seen in sorted(task.events.items())})
        return None

    # ---- dead letters

    def letters_of(self, records):
        for sent, place in records:
            letters = books_letters(self.lab, place)
            if len(letters) > 1:
                self.fail("one dead letter per offset", f"{sent} {place}", 1, len(letters))
            overtook = any(p[0] != place[0] and books_letters(self.lab, p) for _, p in records)  # after growth: the first to come is the task
            if sent.kind == "conflict" and not letters and not overtook and not self.lost(records):
                self.fail("a conflict is dead-lettered", f"{sent} {place}", 1, 0)
            for letter in letters:
                headers = [h for h in sent.headers if not h[0].startswith("stepmill.")]  # of a redrive: the processor's own
                same = (letter.key, letter.value) == (sent.key, sent.value) and letter.headers[:len(headers)] == headers
                if not same:
                    self.fail("dead letters are the original bytes", f"{sent} {place}", (sent.key, sent.value, headers),
                              (letter.key, letter.value, letter.headers))

    # ---- calls

    def fetch_calls(self, present):
        """What the fakes counted of the tasks that are to be checked, a hundred tasks at a time."""
        groups = {task_id[:-2] for task_id in present if task_id not in self.done_tasks or self.news(task_id, present[task_id])}
        self.calls.clear()
        for group in sorted(groups):
            for call in Fakes.get(f"/fakes/calls?prefix={group}")["calls"]:
                self.calls[call["task"]].append(call)
        if Fakes.get("/fakes/stats")["keys"]["forgotten"]:
            self.fail("the fakes forget nothing", "fakes", 0, "some keys: raise --calls-memory")

    def steps(self, task_id, records):
        loss = self.lost(records)
        seen = self.lab.watch.cells.get(task_id, {})
        partitions = {place[0] for _, place in records}
        for call in self.calls.get(task_id, ()):
            seq, name = int(call["key"].split("/")[1]), call["name"]
            begin, end = call["first_at"], call["last_at"]
            http = self.lab.faults.overlapping(HTTP_FAULTS, HTTP, begin, end)
            self.counts["steps"] += 1
            self.counts["runs of steps"] += call["count"]
            if name == "book":
                if call["count"] > 1 and not loss:
                    self.fail("a non-repeatable tool is called once", call["key"], 1, call["count"])
                continue
            owners = sum(self.lab.watch.owners_since(p, begin, end) for p in partitions)
            allowed = 1 + owners + len(records) - 1 + told_to_fail(records)
            allowed += sum(2 + int((f.end - f.begin) / RETRY_PAUSE) for f in http)
            if call["count"] > 1:
                self.counts["steps run again"] += 1
            if call["count"] > allowed and not loss:
                self.fail("runs of a step ≤ 1 + faults that hit it", call["key"],
                          f"{allowed} ({owners} owners, {len(http)} faults of links)", f"{call['count']} {call}")
            if seq in seen and call["last_at"] > seen[seq] + 0.3:
                self.after_cell(call, seen[seq], http, loss, len(partitions) > 1)

    def after_cell(self, call, stored, http, loss, twins):
        if loss:
            self.counts["calls after a cell that Redis lost"] += 1
        elif http:
            self.counts["calls that a link delivered after the cell"] += 1
        elif twins:  # the record's copy in another partition began before there was a cell; it learns of the cells when it saves
            self.counts["calls of a copy that ran at the same time"] += 1
        else:
            self.fail("no call after an acknowledged cell", call["key"], f"none after {stored:.3f}", f"{call['last_at']:.3f} {call}")

    # ---- order

    def in_order(self, present):
        fresh, self.lab.books.fresh = self.lab.books.fresh, []
        fresh.sort(key=lambda r: (r.partition, r.offset))
        for r in fresh:
            task_id = r.data["task_id"]
            records = present.get(task_id, [])
            if r.data["redrives"] or self.lost(records):
                continue
            origin = self.lab.books.tasks[task_id].verified.get((r.partition, r.offset)) or (records[0][1] if len(records) == 1 else None)
            if origin is None:
                continue
            lane = origin[0], r.key
            if origin[1] <= self.order.get(lane, -1):
                self.fail("results of a key leave in order", f"{task_id} {origin}", f"after {self.order[lane]}", f"{r.partition}/{r.offset}")
            self.order[lane] = origin[1]
            self.counts["results in order"] += 1


def books_letters(lab, place):
    return lab.books.letters.get(f"{lab.books.tasks_topic}:{place[0]}:{place[1]}", [])


def told_to_fail(records):
    """Attempts that the fakes were told to answer with an error."""
    text = records[0][0].value or b""
    return 3 if b"fail@" in text else 0


def origin_of(events):
    """The place of the record that the newest opening of this history came from."""
    opening = [e for e in events if e.kind in ("TaskStarted", "TaskReopened")][-1]
    return opening.body["origin"]["partition"], opening.body["origin"]["offset"]
