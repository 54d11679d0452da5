"""stepmill produce and stepmill tail: what they write foreign clients read, what foreign clients write they show."""
import json
import os
import pty
import random
import re
import subprocess
import threading
import time
import uuid

import fastavro
import pytest
from confluent_kafka import Producer

from places import KAFKA, REGISTRY, STEPMILL, TIME_FACTOR, schema_text
from records import Reader, encode, new_task
from worker import wait_for
from world import set_topic

RESULT_SCHEMA = fastavro.parse_schema(json.loads(schema_text("AgentTaskResult")))
EVENT_SCHEMA = fastavro.parse_schema(json.loads(schema_text("AgentEvent")))


def lines_of(*tasks):
    return "".join(json.dumps(t) + "\n" for t in tasks)


def shown(world, *arguments):
    """The objects of `tail … --json`."""
    return [json.loads(line) for line in world.stepmill("tail", *arguments, "--json").stdout.splitlines()]


def tasks_in(world):
    reader = Reader(world.tasks_topic(), world.schemas)
    try:
        return reader.all()
    finally:
        reader.close()


def new_result(task_id, **fields):
    return {"task_id": task_id, "session_id": f"s-{task_id}", "agent": "search", "status": "completed", "output": "done",
            "error": None, "finished_at": int(time.time() * 1000), **fields}


def new_event(task_id, seq, body):
    return {"task_id": task_id, "session_id": f"s-{task_id}", "agent": "search", "seq": seq, "at": int(time.time() * 1e6),
            "trace_id": "0" * 32, "span_id": "0" * 16, "body": body}


def put_records(world, topic, schema, *records, headers=()):
    """Writes records by fastavro under the id that the subject has."""
    schema_id = world.schemas.latest(f"{topic}-value")["id"]
    for r in records:
        world.writer.send(topic, r["session_id"], encode(schema_id, schema, r), headers)
    world.writer.flush()


# ---- produce


def test_a_task_of_flags_is_what_foreign_clients_read(world):
    before = int(time.time() * 1000)
    done = world.stepmill("produce", "--agent", "search", "--session", "s-1", "--task-id", "t-1", "--prompt", "Grüße, \"Welt\"\n",
                          "--context", "colour=blue", "--context", "equation=a=b", "--max-steps", "3", "--token-budget", "600",
                          "--deadline", "5m", "--source", "tests")
    record, = tasks_in(world)
    assert done.stdout == f"t-1 {record.topic} {record.partition} {record.offset}\n"
    assert record.key == b"s-1" and re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", record.header("traceparent"))
    task = dict(record.data)
    created, deadline = (round(task.pop(name).timestamp() * 1000) for name in ("created_at", "deadline_at"))
    assert before <= created <= time.time() * 1000 and deadline == created + 300000
    assert task == {"task_id": "t-1", "source_agent": "tests", "target_agent": "search", "session_id": "s-1",
                    "prompt": "Grüße, \"Welt\"\n", "context": {"colour": "blue", "equation": "a=b"}, "max_steps": 3,
                    "token_budget": 600, "parent_task_id": None}


def test_lines_become_tasks_and_flags_their_defaults(world):
    lines = ['{"prompt": "one"}', "", "  \t", '{"prompt": "two", "session_id": "mine", "max_steps": 25, "context": {"b": "2"}}',
             '{"task_id": "t-3", "source_agent": "x", "parent_task_id": "t-0", "created_at": 1000, "deadline_at": "1h"}']
    done = world.stepmill("produce", "-", "--agent", "search", "--prompt", "three", "--context", "a=1", "--max-steps", "2", "--json",
                          stdin="\r\n".join(lines))  # without an end of the last line
    said = {s["task_id"]: s for s in map(json.loads, done.stdout.splitlines())}
    records = tasks_in(world)
    assert {(r.data["task_id"], r.topic, r.partition, r.offset) for r in records} == {
        (s["task_id"], s["topic"], s["partition"], s["offset"]) for s in said.values()}
    one, two, three = (next(r for r in records if r.data["prompt"] == p) for p in ("one", "two", "three"))
    assert one.data["session_id"] == one.data["task_id"] == one.key.decode() and uuid.UUID(one.data["task_id"]).version == 7
    assert (one.data["context"], one.data["max_steps"], one.data["source_agent"]) == ({"a": "1"}, 2, "cli")
    assert (two.key, two.data["context"], two.data["max_steps"]) == (b"mine", {"b": "2"}, 25)
    assert (three.data["task_id"], three.data["session_id"], three.data["parent_task_id"]) == ("t-3", "t-3", "t-0")
    assert three.data["created_at"].timestamp() == 1 and 3500 < three.data["deadline_at"].timestamp() - time.time() < 3600


def test_thousands_of_lines_are_all_acknowledged_and_counted_as_lag(world):
    sent = [{"task_id": f"t-{i}", "session_id": f"s-{i % 100}", "prompt": f"task {i}"} for i in range(5000)]
    done = world.stepmill("produce", "--agent", "search", "--stdin", stdin=lines_of(*sent))
    places = {line.split()[0]: tuple(line.split()[1:]) for line in done.stdout.splitlines()}
    records = tasks_in(world)
    assert len(records) == len(places) == 5000
    assert all(places[r.data["task_id"]] == (r.topic, str(r.partition), str(r.offset)) for r in records)
    by_session = {}
    for r in sorted(records, key=lambda r: (r.partition, r.offset)):
        by_session.setdefault(r.data["session_id"], []).append(int(r.data["task_id"][2:]))
    assert all(numbers == sorted(numbers) for numbers in by_session.values()), "order per session"
    lag = json.loads(world.stepmill("lag", "--json").stdout)
    assert lag["unfinished"] == 5000 == world.lag()


def test_rate_is_kept(world):
    began = time.monotonic()
    world.stepmill("produce", "--agent", "search", "--stdin", "--rate", "20", stdin=lines_of(*[{"prompt": "x"}] * 21))
    assert time.monotonic() - began >= 1 and len(tasks_in(world)) == 21


BAD_LINES = {
    '{"prompt": "x"': "not JSON", '["x"]': "not a JSON object", '{"promt": "x"}': 'did you mean "prompt"?',
    '{"prompt": "x", "task_id": 5}': "task_id must be a string", '{"prompt": "x", "task_id": "a/b"}': "task_id must be 1 to 128",
    '{"prompt": "x", "session_id": ""}': "session_id must be 1 to 128", "{}": "prompt is missing",
    '{"prompt": "x", "max_steps": 26}': "max_steps must be 1 to 25", '{"prompt": "x", "max_steps": -1}': "max_steps must be 1 to 25",
    '{"prompt": "x", "token_budget": 511}': "token_budget must be 512 to 32768",
    '{"prompt": "x", "target_agent": "other"}': "target_agent is not the agent of this topic",
    '{"prompt": "x", "context": {"a": 1}}': 'context: "a" must be a string', '{"prompt": "x", "prompt": "y"}': "duplicate",
    json.dumps({"prompt": "x" * (1 << 20)}): "larger than limits.record",
}


def test_the_first_bad_line_stops_and_is_named(world):
    good = '{"prompt": "good"}\n'
    for bad, message in BAD_LINES.items():
        done = world.stepmill("produce", "--agent", "search", "--stdin", stdin=f"{good}\n{good}{bad}\n{good}", expect=1)
        assert "line 4:" in done.stderr and message in done.stderr and "the 2 tasks before it were sent" in done.stderr, bad[:80]
        assert len(done.stdout.splitlines()) == 2, bad[:80]
    assert len(tasks_in(world)) == 2 * len(BAD_LINES)


def test_bad_flags_are_refused_before_anything_is_sent(world):
    for arguments, code, message in (
            ([], 2, "--prompt is needed"), (["--prompt", "x", "more"], 2, "needs quotes"), (["--prompt", ""], 1, "prompt is missing"),
            (["--prompt", "x", "--task-id", 'a"b'], 1, "task_id must be"), (["--prompt", "x", "--session", "ä"], 1, "session_id must be"),
            (["--prompt", "x", "--max-steps", "26"], 2, "out of range"), (["--prompt", "x", "--deadline", "soon"], 2, '"soon" is neither'),
            (["--prompt", "x", "--context", "a"], 2, "KEY=VALUE"), (["--prompt", b"caf\xe9"], 1, "must be UTF-8"),
            (["--prompt", "x", "--context", "a=1", "--context", "a=2"], 1, "a key twice"),
            (["--stdin", "--task-id", "t"], 2, '"task_id"'), (["--stdin", "--raw"], 2, "give one")):
        done = world.stepmill("produce", "--agent", "search", *arguments, expect=code, stdin="")
        assert message in done.stderr and not done.stdout, arguments
    assert "--agent is needed" in world.stepmill("produce", "--prompt", "x", expect=2).stderr
    assert not tasks_in(world)


def test_what_is_missing_is_said(make_world):
    world = make_world(create=False)
    begin = ["produce", "--prompt", "x", "--agent"]
    said = world.stepmill(*begin, "search", expect=1).stderr
    assert "stepmill schemas register" in said and "no agent" not in said
    assert 'no agent "serch"; it has: search' in world.stepmill(*begin, "serch", expect=1).stderr
    world.stepmill("schemas", "register")
    said = world.stepmill(*begin, "search", expect=1).stderr
    assert "stepmill topics create" in said and world.tasks_topic() in said
    world.stepmill("topics", "create")
    down = world.write_config("down.yaml", schema_registry={"url": "http://127.0.0.1:1"})
    assert "schema_registry" in world.stepmill(*begin, "search", expect=1, config=down).stderr
    down = world.write_config("down.yaml", kafka={"bootstrap.servers": "127.0.0.1:1"})
    said = world.stepmill(*begin, "search", expect=1, config=down).stderr
    assert "127.0.0.1:1" in said and "stepmill doctor" in said


def test_records_that_kafka_refuses_are_counted_and_stop_the_rest(world):
    set_topic(world.tasks_topic(), "max.message.bytes", "1000")
    sent = [{"prompt": "".join(random.choices("0123456789abcdef", k=20000)), "session_id": "s"} for _ in range(2000)]
    # two seconds for all, so that the first refusal comes before the last is sent
    done = world.stepmill("produce", "--agent", "search", "--stdin", "--rate", "1000", stdin=lines_of(*sent), expect=1)
    said = len(re.findall("was not acknowledged", done.stderr))
    assert "larger than the topic" in done.stderr and not done.stdout
    # A slow producer has fewer under way when the first is refused.
    in_all = int(re.search(r"(\d+) of \1 records sent were not acknowledged", done.stderr)[1])
    assert said == min(in_all, 10) > 0
    assert in_all < len(sent)
    world.stepmill("produce", "--agent", "search", "--prompt", "small")


def test_a_closed_output_is_no_success(world):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([STEPMILL, "produce", "--agent", "search", "--prompt", "x", "--config", str(world.config)], stdout=write,
                          stderr=subprocess.PIPE, text=True, timeout=60 * TIME_FACTOR, check=False)
    os.close(write)
    assert done.returncode == 1 and "1 of 1 records are acknowledged" in done.stderr
    assert len(tasks_in(world)) == 1


# ---- tail


def test_a_round_trip(world):
    world.start()
    prompt = '[[fake: tools=look args.look={"q":"it"} tokens=70+30 answer="found it"]]'
    world.stepmill("produce", "--agent", "search", "--session", "s-1", "--task-id", "t-1", "--prompt", prompt, "--context", "meta.user=u7")
    result = world.result_of("t-1")
    world.one("Another.", session="s-2")
    by_json, = shown(world, "results", "--task", "t-1")
    assert by_json["value"] == dict(result, finished_at=round(result["finished_at"].timestamp() * 1000))
    assert by_json["key"] == "s-1" and {h["name"] for h in by_json["headers"]} >= {"traceparent", "ce_id", "content-type"}
    events = shown(world, "events", "--session", "s-1")
    assert [e["value"]["seq"] for e in events] == [0, 1, 2, 3, 4]
    assert events[1]["value"]["body"]["prompt_tokens"] == 70 and events[4]["value"]["body"]["output"] == "found it"
    text = world.stepmill("tail", "results", "--task", "t-1").stdout
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  t-1 +completed +2 steps +200 tokens +\d+\.\d s  primary  \"found it\"\n", text)
    steps = world.stepmill("tail", "events", "--task", "t-1").stdout.splitlines()
    kinds = ["TaskStarted", "ModelAnswered", "ToolAnswered", "ModelAnswered", "TaskCompleted"]
    assert [line.split()[3] for line in steps] == kinds and all(line.split()[1:3] == ["t-1", str(i)] for i, line in enumerate(steps))
    assert "primary  70+30 tokens" in steps[1] and '→ look({"q":"it"})' in steps[1] and "look ok" in steps[2]
    verbose = world.stepmill("tail", "results", "--task", "t-1", "--verbose").stdout
    assert all(line in verbose for line in ("    output: found it\n", "    session: s-1\n", "    meta.user = u7\n"))
    assert len(shown(world, "results")) == 2 and len(shown(world, "results", "--limit", "1")) == 1
    assert not shown(world, "results", "--agent", "nobody") and len(shown(world, "events", "--agent", "search", "--since", "10m")) == 10
    assert not shown(world, "results", "--since", "2100-01-01T00:00:00Z")


def test_records_of_fastavro_are_shown_as_they_are(world):
    topic = world.topic("results")
    schema = {"type": "record", "name": "Other", "namespace": "org.elsewhere", "fields": [
        {"name": "task_id", "type": "string"}, {"name": "session_id", "type": "string"}, {"name": "ratio", "type": "double"},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string", "long"]}},
        {"name": "inner", "type": {"type": "map", "values": {"type": "record", "name": "I", "fields": [
            {"name": "on", "type": "boolean"}, {"name": "raw", "type": "bytes"}]}}}]}
    data = {"task_id": "t-1", "session_id": "s-1", "ratio": 0.1, "tags": [None, "ä\n\"", -5], "inner": {"k": {"on": True, "raw": b"\xff\x00"}}}
    schema_id = world.schemas.register(f"{world.name}-other-value", json.dumps(schema))
    world.writer.send(topic, "s-1", encode(schema_id, fastavro.parse_schema(schema), data))
    put_records(world, topic, RESULT_SCHEMA, new_result("t-2", error="ä", metadata={"k": "v"}))
    by_key = {r["key"]: r for r in shown(world, "results")}
    assert by_key["s-1"]["value"] == dict(data, inner={"k": {"on": True, "raw": "ff00"}})
    assert (by_key["s-t-2"]["value"]["error"], by_key["s-t-2"]["value"]["metadata"]) == ("ä", {"k": "v"})
    assert by_key["s-t-2"]["value"]["steps_used"] == 0 and by_key["s-t-2"]["value"]["final"] is True, "fastavro wrote the defaults"
    assert "can't be read" in world.stepmill("tail", "results").stdout


def test_an_event_sent_twice_is_shown_once(world):
    topic = world.topic("events")
    for ce_id in ("t/0/aa", "t/0/aa", "t/0/bb"):
        put_records(world, topic, EVENT_SCHEMA, new_event("t", 0, ("com.myco.agents.v1.TaskParked", {"approval": ce_id})),
                    headers=[("ce_id", ce_id.encode())])
    assert [e["value"]["body"]["approval"] for e in shown(world, "events")] == ["t/0/aa", "t/0/bb"]
    assert len(world.stepmill("tail", "events").stdout.splitlines()) == 2


def test_what_was_not_committed_is_not_shown(world):
    schema_id = world.schemas.latest(f"{world.topic('results')}-value")["id"]
    producer = Producer({"bootstrap.servers": KAFKA, "transactional.id": world.name})
    producer.init_transactions(30)
    for commit in (False, True, False):
        producer.begin_transaction()
        producer.produce(world.topic("results"), key="s", value=encode(schema_id, RESULT_SCHEMA, new_result(f"t-{commit}")))
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    assert [r["value"]["task_id"] for r in shown(world, "results")] == ["t-True"]


def test_no_record_plays_with_the_terminal(world):
    nasty = "a\x1b[2Jb\x07c\u009b31md\r\ne"
    put_records(world, world.topic("results"), RESULT_SCHEMA, new_result("t-1", output=nasty, model=nasty, error=nasty, status="completed"))
    world.writer.send(world.topic("dlq"), "s", b"\x1b]0;x\x07\xff", [("stepmill.code", b"\x1b[2J\xff"), ("__dlq.errors.message", nasty.encode())])
    world.writer.flush()
    for arguments in (("results",), ("results", "--verbose"), ("dlq",), ("dlq", "--verbose")):
        text = world.stepmill("tail", *arguments).stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), arguments
        assert (len(text.split("\n")) == 2) == (len(arguments) == 1), "one line, or with --verbose more"
    assert shown(world, "results")[0]["value"]["output"] == nasty


def test_colours_are_for_terminals_only(world):
    put_records(world, world.topic("results"), RESULT_SCHEMA, new_result("t-1"))
    command = [STEPMILL, "tail", "results", "--config", str(world.config)]
    master, slave = pty.openpty()
    done = subprocess.run(command, stdout=slave, timeout=60 * TIME_FACTOR, check=True)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0 and "\033[32mcompleted" in text and "\033" not in world.stepmill("tail", "results").stdout


def test_follow_begins_at_the_end_and_goes_on(world):
    put_records(world, world.topic("results"), RESULT_SCHEMA, new_result("before"))
    follow = subprocess.Popen([STEPMILL, "tail", "results", "--follow", "--json", "--config", str(world.config)], stdout=subprocess.PIPE, text=True)
    seen = []
    reading = threading.Thread(target=lambda: seen.extend(json.loads(line)["value"]["task_id"] for line in follow.stdout))
    reading.start()
    try:
        sent = []

        def shows_what_came_last():  # it begins some time after its start
            sent.append(f"t-{len(sent)}")
            put_records(world, world.topic("results"), RESULT_SCHEMA, new_result(sent[-1], session_id="s"))
            time.sleep(0.2)
            return len(seen) >= 5

        wait_for("five results while they come", 40, shows_what_came_last)
    finally:
        follow.terminate()
        follow.wait(20)
        reading.join(20)
    first = sent.index(seen[0])
    assert seen == sent[first:first + len(seen)], "in order, none left out, nothing from before"


def test_dead_letters_tell_all_and_are_found_by_when_they_died(world):
    world.start()
    topic, dlq = world.tasks_topic(), world.topic("dlq")
    old = int(time.time() * 1000) - 2 * 3600 * 1000
    producer = Producer({"bootstrap.servers": KAFKA})
    producer.produce(topic, key="s-1", value=b'{"task_id": "plain"}', timestamp=old, headers={"mine": b"kept"})
    producer.produce(topic, key="s-2", value=world.encode(new_task("Too many.", task_id="t-2", session="s-2", max_steps=26)))
    assert producer.flush(20) == 0
    world.dlq.until(2)
    plain, = [r for r in shown(world, "dlq", "--since", "10m") if r["key"] == "s-1"]
    assert plain["timestamp"] == old, "the original's; it died just now"
    assert plain["value"] is None and plain["value_text"] == '{"task_id": "plain"}' and "plain JSON" in plain["trouble"]
    assert {"name": "mine", "value": "kept"} in plain["headers"] and not shown(world, "dlq", "--since", "2100-01-01T00:00:00Z")
    other, = shown(world, "dlq", "--task", "t-2")
    assert (other["value"]["prompt"], other["value"]["max_steps"]) == ("Too many.", 26)
    text = world.stepmill("tail", "dlq").stdout
    assert len(text.splitlines()) == 2
    line = next(line for line in text.splitlines() if "plain_json" in line)
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3}  \(no task_id\) +dead letter  poison/plain_json  from " + re.escape(topic) + r":\d:\d  attempts \d  \"", line)
    verbose = world.stepmill("tail", "dlq", "--session", "s-2", "--verbose").stdout
    assert '"prompt":"Too many."' in verbose.replace(": ", ":") and "    stepmill.code = max_steps_out_of_range\n" in verbose
    assert f"    record: {dlq}/" in verbose


def test_dead_letters_are_shown_without_a_registry_and_results_say_what_is_wrong(world):
    put_records(world, world.topic("results"), RESULT_SCHEMA, new_result("t-1"))
    for i in range(5):
        world.writer.send(world.topic("dlq"), f"s-{i}", world.encode(new_task()), [("stepmill.code", b"some_code")])
    world.writer.flush()
    down = world.write_config("down.yaml", schema_registry={"url": "http://127.0.0.1:1"})
    began = time.monotonic()
    text = world.stepmill("tail", "dlq", config=down).stdout
    assert text.count("some_code") == 5 and time.monotonic() - began < 25 * TIME_FACTOR, "it is not asked again for each"
    done = world.stepmill("tail", "results", config=down, expect=1)
    assert "schema_registry" in done.stderr and "stepmill doctor" in done.stderr and not done.stdout


def test_bad_flags_of_tail_are_told(make_world):
    world = make_world(create=False)
    assert 'did you mean "events"?' in world.stepmill("tail", "event", expect=2).stderr
    for since in ("yesterday", "2026-02-30T00:00:00Z", "5"):
        assert "--since" in world.stepmill("tail", "events", "--since", since, expect=2).stderr
    assert "stepmill topics create" in world.stepmill("tail", "events", expect=1).stderr


@pytest.mark.parametrize("command", ["produce", "tail"])
def test_help_has_examples_and_exit_codes(command):
    done = subprocess.run([STEPMILL, command, "--help"], capture_output=True, text=True, timeout=30, check=True)
    assert "Exit codes: 0" in done.stdout and len(done.stdout.split("examples:")[1].strip().splitlines()) >= 2
