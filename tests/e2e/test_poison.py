"""Records that can never be tasks: a dead letter with the original bytes, and a failed result if a task_id could be read."""
import hashlib
import json
import struct

import fastavro
import pytest

from places import schema_text
from records import encode, new_task

SCHEMA = json.loads(schema_text("AgentTaskEvent"))


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world(limits={"schema": "16KiB"})
    world.start()
    return world


def other_schema(world, name, schema):
    return world.schemas.register(f"{world.name}-{name}-value", json.dumps(schema))


def nested(depth):
    """A schema of records in records."""
    inner = "string"
    for level in range(depth):
        inner = {"type": "record", "name": f"R{level}", "fields": [{"name": "f", "type": inner}]}
    return {"type": "record", "name": "Deep", "fields": [*SCHEMA["fields"], {"name": "deep", "type": inner}]}


def by_schema(world, name, schema):
    """Whatever bytes: the schema alone is refused."""
    return struct.pack(">bI", 0, other_schema(world, name, schema)) + b"\x02x" * 30


def without_field(world, name, task):
    schema = {**SCHEMA, "fields": [f for f in SCHEMA["fields"] if f["name"] != name]}
    return encode(other_schema(world, f"no-{name}", schema), fastavro.parse_schema(schema), task)


def mistyped(world, name, task):
    schema = {**SCHEMA, "fields": [dict(f, type="long") if f["name"] == name else f for f in SCHEMA["fields"]]}
    return encode(other_schema(world, f"mistyped-{name}", schema), fastavro.parse_schema(schema), dict(task, **{name: 5}))


def task_with(**fields):
    return lambda world: world.encode(new_task(**fields))


# name, the value, its code: nobody can be told, for no task_id can be read
UNREADABLE = [
    ("plain json", lambda w: json.dumps(new_task()).encode(), "plain_json"),
    ("empty", lambda w: b"", "not_wire_format"),
    ("null", lambda w: None, "not_wire_format"),
    ("magic 1", lambda w: b"\x01" + w.encode(new_task())[1:], "not_wire_format"),
    ("too short", lambda w: b"\x00\x00\x00", "not_wire_format"),
    ("unknown schema", lambda w: struct.pack(">bI", 0, 99999999) + b"abc", "unknown_schema"),
    ("no task_id field", lambda w: without_field(w, "task_id", new_task()), "missing_field"),
    ("mistyped task_id", lambda w: mistyped(w, "task_id", new_task()), "wrong_type"),
    ("header only", lambda w: w.encode(new_task())[:5], "does_not_decode"),
    ("huge length", lambda w: w.encode(new_task())[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "does_not_decode"),
    ("too large", lambda w: w.encode(new_task("x" * (2 << 20))), "too_large"),
    ("schema too large", lambda w: by_schema(w, "large", {**SCHEMA, "doc": "x" * 20000}), "hostile_schema"),
    ("schema too deep", lambda w: by_schema(w, "deep", nested(80)), "hostile_schema"),
    ("bad task_id", task_with(task_id="a/b"), "bad_task_id"),
    ("long task_id", task_with(task_id="x" * 129, session="s"), "bad_task_id"),
]
# name, the value of a task, its code: the task_id can be read, so somebody waits for an answer
HALF_READABLE = [
    ("another kind of record", lambda w, t: encode(w.schemas.latest(f"{w.topic('results')}-value")["id"], w.schemas.of(
        w.schemas.latest(f"{w.topic('results')}-value")["id"]), {**t, "agent": "a", "status": "failed", "finished_at": 0}),
     "missing_field"),
    ("no prompt field", lambda w, t: without_field(w, "prompt", t), "missing_field"),
    ("no session_id field", lambda w, t: without_field(w, "session_id", t), "missing_field"),
    ("mistyped field", lambda w, t: mistyped(w, "prompt", t), "wrong_type"),
    ("bad UTF-8", lambda w, t: w.encode(dict(t, prompt="#" * 20)).replace(b"#" * 20, b"\xff" * 20), "bad_utf8"),
]
# fields of a task, the code
OUT_OF_LIMITS = [
    ({"max_steps": 0}, "max_steps_out_of_range"), ({"max_steps": 26}, "max_steps_out_of_range"),
    ({"max_steps": -1}, "max_steps_out_of_range"), ({"token_budget": 511}, "token_budget_out_of_range"),
    ({"token_budget": 32769}, "token_budget_out_of_range"), ({"target_agent": "mail"}, "wrong_target_agent"),
    ({"session_id": ""}, "bad_session_id"), ({"session_id": "Grüße"}, "bad_session_id"),
]
HEADERS = [("a", b"1"), ("trace-id", b"\xff\x00not text"), ("a", b"2"), ("none", None), ("empty", b"")]


def send(world, value, key):
    """Produces one record; returns the dead letter that its place names, and the place."""
    world.writer.send(world.tasks_topic(), key, value, HEADERS)
    (partition, offset), = world.writer.flush()
    origin = f"{world.tasks_topic()}:{partition}:{offset}"
    world.dlq.until(lambda letters: any(r.header("stepmill.id") == origin for r in letters))
    letter, = [r for r in world.dlq.records if r.header("stepmill.id") == origin]
    return letter, partition, offset


def check_letter(world, letter, partition, offset, value, key, code):
    assert (letter.key, letter.value) == (key, value), "the original bytes"
    assert letter.headers[:len(HEADERS)] == HEADERS, "the original headers in their order"
    assert letter.header("__dlq.errors.topic") == world.tasks_topic()
    assert (letter.header("__dlq.errors.partition"), letter.header("__dlq.errors.offset")) == (str(partition), str(offset))
    assert letter.header("__dlq.errors.group") == world.name
    assert (letter.header("stepmill.class"), letter.header("stepmill.code")) == ("poison", code), letter.headers
    assert (letter.header("stepmill.retryable"), letter.header("stepmill.redrives")) == ("false", "0")
    assert int(letter.header("stepmill.failed_at")) >= letter.timestamp
    assert letter.header("stepmill.fingerprint")


@pytest.mark.parametrize("make, code", [pytest.param(*row[1:], id=row[0]) for row in UNREADABLE])
def test_unreadable_records_are_dead_lettered_byte_for_byte(world, make, code):
    value, key = make(world), b"\x00key\xff"
    world.settled()
    answered = len(world.results.all())
    letter, partition, offset = send(world, value, key)
    check_letter(world, letter, partition, offset, value, key, code)
    world.settled()
    assert len(world.results.all()) == answered, "nobody can be answered"


@pytest.mark.parametrize("make, code", [pytest.param(*row[1:], id=row[0]) for row in HALF_READABLE])
def test_who_can_be_told_is_told_whatever_else_is_wrong(world, make, code):
    task = new_task()
    value = make(world, task)
    letter, partition, offset = send(world, value, b"k")
    check_letter(world, letter, partition, offset, value, b"k", code)
    assert letter.header("stepmill.task_id") == task["task_id"]
    result = world.result_of(task)
    session = "" if "session_id" in letter.header("__dlq.errors.message") else task["session_id"]
    assert (result["status"], result["error"], result["session_id"]) == ("failed", code, session)
    assert not world.calls(task)


def test_plain_json_is_told_how_to_become_a_task(world):
    letter, *_ = send(world, b'{"task_id": "t"}', b"k")
    assert "Avro" in letter.header("__dlq.errors.message") and "stepmill produce" in letter.header("__dlq.errors.message")


@pytest.mark.parametrize("fields, code", OUT_OF_LIMITS)
def test_out_of_limits_is_answered_too(world, fields, code):
    task = {**new_task(), **fields}
    key = task["session_id"].encode() or b"k"
    value = world.encode(task)
    letter, partition, offset = send(world, value, key)
    check_letter(world, letter, partition, offset, value, key, code)
    assert letter.header("stepmill.task_id") == task["task_id"]
    result = world.result_of(task)
    assert (result["status"], result["error"], result["final"], result["history"]) == ("failed", code, True, "")
    assert not world.calls(task)


def test_a_task_cut_short_answers_as_far_as_it_can_be_read(world):
    task = new_task("x" * 100)
    value = world.encode(task)
    for length in range(5, len(value)):
        world.writer.send(world.tasks_topic(), task["session_id"], value[:length])
    world.writer.flush()
    world.settled()
    codes = {r.header("stepmill.code") for r in world.dlq.all() if r.key.decode(errors="replace") == task["session_id"]}
    assert codes == {"does_not_decode"}
    assert {r.data["status"] for r in world.results.all() if r.data["task_id"] == task["task_id"]} <= {"failed"}
    longer = world.encode(new_task()) + b"\x00"
    letter, *_ = send(world, longer, b"longer")
    assert letter.header("stepmill.code") == "does_not_decode"


def test_poison_holds_up_nobody_and_keeps_its_place(world):
    session = new_task()["session_id"]
    tasks = [new_task("[[fake: steps=1 latency=50ms]]", session=session) for _ in range(6)]
    for n, task in enumerate(tasks):
        world.writer.send(world.tasks_topic(), session, world.encode(dict(task, max_steps=99) if n % 2 else task))
        world.writer.send(world.tasks_topic(), session, b"{}")
    world.writer.flush()
    world.settled()
    found = [r.data["task_id"] for r in world.results.all() if r.data["session_id"] == session]
    assert found == [t["task_id"] for t in tasks]


def test_no_two_records_have_the_same_source_and_id(world):
    """CloudEvents: source and id together name one event. A result and the terminal event it stands for are two."""
    task, poison = new_task("[[fake: steps=1]]"), dict(new_task(), max_steps=99)
    world.submit(task, poison, poison)
    world.settled()
    wanted = (task["task_id"], poison["task_id"])
    records = [r for r in world.results.all() + world.events.all() if r.data["task_id"] in wanted]
    assert len(records) == 3 + 3, "two results of poison, one of the task, and its three events"
    assert len({(r.header("ce_source"), r.header("ce_id")) for r in records}) == 6
    assert {r.header("ce_source") for r in records} == {"stepmill/search", "stepmill/search/results"}


def test_headers_larger_than_allowed(world):
    task = new_task()
    world.writer.send(world.tasks_topic(), task["session_id"], world.encode(task), [("blob", b"x" * 70000)])
    world.writer.flush()
    world.dlq.until(lambda letters: any(r.header("stepmill.code") == "headers_too_large" for r in letters))
    letter, = [r for r in world.dlq.records if r.header("stepmill.code") == "headers_too_large"]
    assert letter.value == world.encode(task) and letter.headers[0] == ("blob", b"x" * 70000)
    assert not world.calls(task)


def test_a_dead_letter_that_does_not_fit_leaves_its_value_out(world):
    """Nearly 8 MiB: with the dead letter's headers it would be larger than the topic takes."""
    value = b"{" + b"x" * ((8 << 20) - 400)
    letter, partition, offset = send(world, value, b"big")
    assert letter.value is None and letter.header("stepmill.code") == "too_large"
    omitted = letter.header("stepmill.value_omitted")
    assert f"size={len(value)}" in omitted and hashlib.sha256(value).hexdigest() in omitted
    assert f"{world.tasks_topic()}:{partition}:{offset}" in omitted
