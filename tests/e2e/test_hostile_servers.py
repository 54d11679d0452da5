"""Model and tool servers that mean harm: no byte of theirs stops the worker, each failure has its class, and every task goes on.

The fakes are told by rules what to answer to which row; the prompts name the rows. Faults that happen to honest servers are in
test_failures_model.py and test_failures_tools.py.
"""
import json

import pytest

from hostile import memory_peak
from places import TIME_FACTOR
from proof import check_history
from records import new_task
from world import events_by_task

MIB = 1 << 20
OK = "HTTP/1.1 200 OK\r\n"
MANY_CALLS = [{"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": '{"q":"x"}'}} for i in range(10_000)]


def chat(message, **members):
    """A model's answer as JSON text."""
    return json.dumps({"model": "m", "choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}], **members})


def said(body):
    return {"status": 200, "body": body}


def raw(text, **members):
    return {"kind": "raw", "body": text, **members}


def call(name="look", arguments='{"q":"x"}', call_id="c"):
    return {"tool_calls": [{"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}]}


def http_rows():
    """name, fault, the error that each attempt is listed with: what breaks HTTP, whoever sends it."""
    yield "10,000 headers", "headers", "too_large"
    yield "a header of 1 MB", raw(f"{OK}X: {'x' * MIB}\r\n\r\n"), "too_large"
    yield "5 MB of headers", raw(OK + "".join(f"X-{i}: {'v' * 1000}\r\n" for i in range(5000)) + "\r\n"), "too_large"
    yield "an endless body", "endless", "too_large"
    yield "a byte a second", "slow:1s", "timeout"
    yield "a head of a byte a second", raw(OK + "Content-Length: 2\r\n\r\n{}", interval="1s"), "timeout"
    yield "interim answers only", raw("HTTP/1.1 100 Continue\r\n\r\n" * 20_000), "connection_lost"
    yield "another protocol", raw("SSH-2.0-OpenSSH_9.2\r\n"), "bad_answer"
    yield "no head", raw("hello"), "bad_answer"
    yield "a length below zero", raw(f"{OK}Content-Length: -5\r\n\r\nhello"), "bad_answer"
    yield "a length of 2^63-1", raw(f"{OK}Content-Length: 9223372036854775807\r\n\r\nhello"), "connection_lost"
    yield "a chunk of 2^72", raw(f"{OK}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello"), "connection_lost"
    yield "a chunk without a size", raw(f"{OK}Transfer-Encoding: chunked\r\n\r\nhello\r\n"), "connection_lost"
    yield "an encoding that nobody knows", raw(f"{OK}Transfer-Encoding: snappy\r\n\r\nhello"), "bad_encoding"


def refused_bodies():
    """name, fault, error: answers of a model that say nothing we can use."""
    yield "100,000 brackets", said("[" * 100_000), "model_answer_not_json"
    yield "an answer 100 deep", said(chat({"content": "x"})[:-1] + ',"x":' + "[" * 100 + "]" * 100 + "}"), "model_answer_not_json"
    yield "half of a surrogate pair", said('{"choices":[{"message":{"content":"\\ud800"}}]}'), "model_answer_not_json"
    yield "a key with NUL", said('{"choices":[{"message":{"content\\u0000":"x"}}]}'), "model_answer_not_json"
    yield "a byte order mark", said("\ufeff" + chat({"content": "x"})), "model_answer_not_json"
    yield "something behind it", said(chat({"content": "x"}) + "}"), "model_answer_not_json"
    yield "packed though nobody asked", raw(f"{OK}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"), "model_answer_not_json"
    for number, choices in enumerate(({}, None, 5, "x", [None], [[]], [{}], [{"message": 5}], [{"message": {"content": 5}}])):
        yield f"choices of another kind {number}", said(json.dumps({"choices": choices})), "model_answer_empty"
    yield "choices twice", said(chat({"content": "x"})[:-1] + ',"choices":[]}'), "model_answer_empty"
    yield "an error of 500 KB in a 200", said(json.dumps({"error": {"message": "x\r\n" * 150_000}})), "model_answer_error"
    yield "a page of 500 KB", {"status": 500, "body": "<p>" * 150_000}, "model_http_500"
    yield "a 400 of 500 KB", {"status": 400, "body": {"error": {"message": "x\r\n" * 100_000}}}, "model_request_rejected"


MODEL_ROWS = [*http_rows(), *refused_bodies()]


def rules():
    """What the fakes say to which row."""
    def on_model(model, name, fault, **members):
        return {"on": "model", "match": {"model": model, "user": f"<{name}>"}, "fault": fault, **members}

    yield from (on_model("bad", name, fault, times=1) for name, fault, _ in MODEL_ROWS)
    yield from (on_model("lone", name, fault, times=1) for name, fault in LONE_ROWS)
    yield on_model("lone", "a 400 for good", SECRET_400)
    yield on_model("later", "any", {"status": 429, "retry_after": "99999999999999999999"})
    yield from ({"on": "tool", "match": {"params": {"row": row[0]}}, "fault": row[1]} for row in [*http_rows(), *TOOL_BODIES])
    yield {"on": "model", "answer": {"content": "done"}}


@pytest.fixture(scope="module")
def world(make_shared_world, tmp_path_factory):
    script = tmp_path_factory.mktemp("rules") / "rules.json"
    script.write_text(json.dumps({"rules": list(rules())}), encoding="utf-8")
    model = {"timeout": f"{int(1000 * TIME_FACTOR)}ms"}
    world = make_shared_world(
        fakes=["--script", str(script)],
        agents={"search": {}, "pair": {"models": ["bad", "good"]}, "lone": {"models": ["lone"]}, "shy": {"models": ["later", "good"]}},
        models={"primary": {}, "bad": model, "good": {}, "lone": model, "later": {}},
        tools={"look": {"timeout_ms": int(1000 * TIME_FACTOR), "parameters": {"type": "object"}}}, breaker={"failures": 1000},
        limits={"model_answer": "1MiB", "tool_answer": "64KiB"})
    world.start()
    return world


def run(world, tasks):
    """Runs them all at once; what they left is then read once, for all tests."""
    world.submit(*tasks.values())
    for task in tasks.values():
        world.result_of(task)
    world.settled()
    world.dlq.all()
    world.histories = events_by_task(world.events.all())
    return tasks


def history(world, task):
    return world.histories[task["task_id"]]


def answered(world, task):
    return [e.body for e in history(world, task) if e.kind == "ModelAnswered"]


@pytest.fixture(scope="module")
def models(world):
    """A task for each row, all at once."""
    return run(world, {name: new_task(f"<{name}>", agent="pair") for name, *_ in MODEL_ROWS})


@pytest.mark.parametrize("name, code", [pytest.param(row[0], row[2], id=row[0]) for row in MODEL_ROWS])
def test_a_model_that_says_nothing_usable_is_left_for_the_next(world, models, name, code):
    task = models[name]
    result = world.result_of(task)
    assert (result["status"], result["output"], result["model"]) == ("completed", "done", "good")
    body, = answered(world, task)
    assert [(a["target"], a["error"]) for a in body["attempts"]] == [("bad", code)]
    if TIME_FACTOR == 1:
        assert body["attempts"][0]["duration_ms"] < 2000, "the model's timeout is for all of it"
    check_history(history(world, task), result)
    assert not [r for r in world.dlq.records if r.header("stepmill.task_id") == task["task_id"]]


LONE_ROWS = [
    ("a NUL in the answer", said(chat({"content": "a\0b\r\n\u2028"}))),
    ("10,000 tool calls", said(chat({"content": None, "tool_calls": MANY_CALLS}))),
    ("a tool's name of 100 KB", said(chat(call(name="look\r\n" * 20_000)))),
    ("a tool's name with quotes", said(chat(call(name='look"}],"x":[{')))),
    ("an id of 30 KB", said(chat(call(call_id="c\r\n\0" * 8_000)))),
    ("arguments of 100,000 brackets", said(chat(call(arguments="[" * 100_000)))),
    ("arguments of 100 KB", said(chat(call(arguments=json.dumps({"q": "x" * 100_000}))))),
    ("usage beyond all numbers", said(chat({"content": "x"}, usage={"prompt_tokens": 2 ** 70, "completion_tokens": -5}))),
    ("usage of 1e999", said(chat({"content": "x"})[:-1] + ',"usage":{"prompt_tokens":1e999,"completion_tokens":1}}')),
    ("usage of 2^31", said(chat({"content": "x"}, usage={"prompt_tokens": 2 ** 31 - 1, "completion_tokens": 2 ** 31 - 1}))),
    ("a model's name of 100 KB", said(json.dumps({**json.loads(chat({"content": "x"})), "model": "m\r\n" * 33_000}))),
    ("30,000 parts of content", said(chat({"content": [{"type": "text", "text": "x"}] * 30_000}))),
    ("150,000 escapes", said(chat({"content": "x"}).replace('"x"', '"' + "\\u0041" * 150_000 + '"'))),
    ("60,000 members", said(chat({"content": "x", **{f"m{i}": 0 for i in range(60_000)}}))),
    ("a finish_reason of 100 KB", said(chat({"content": "x"}).replace('"stop"', json.dumps("s" * 100_000)))),
]


@pytest.fixture(scope="module")
def lone(world):
    """The same for answers that can be used, whatever else they are."""
    return run(world, {name: new_task(f"<{name}>", agent="lone") for name, _ in LONE_ROWS})


@pytest.mark.parametrize("name", [name for name, _ in LONE_ROWS])
def test_what_can_be_used_is_used_and_the_task_completes(world, lone, name):
    result = world.result_of(lone[name])
    assert result["status"] == "completed", result
    check_history(history(world, lone[name]), result)
    for body in answered(world, lone[name]):
        assert not body["attempts"] and len(body["model"]) <= 256
    assert len(result["model"]) <= 256
    assert all(len(r["body"]["messages"][-1]["content"]) < 10_000 for r in world.requests(lone[name]))


def tool_answers(world, task):
    return [e.body for e in history(world, task) if e.kind == "ToolAnswered"]


def test_what_became_of_them(world, lone):
    result = {name: world.result_of(task) for name, task in lone.items()}
    assert result["a NUL in the answer"]["output"] == "a\0b\r\n\u2028"
    assert result["10,000 tool calls"]["tool_calls"] == 32
    assert answered(world, lone["10,000 tool calls"])[0]["tool_calls_refused"] == 9_968
    assert (result["30,000 parts of content"]["output"], result["150,000 escapes"]["output"]) == ("x" * 30_000, "A" * 150_000)
    assert result["usage of 2^31"]["error"] == "token_budget_exceeded"
    assert 0 < result["usage beyond all numbers"]["tokens_used"] < 10_000, "estimated"
    for name, outcome in (("a tool's name of 100 KB", "refused"), ("a tool's name with quotes", "refused"), ("an id of 30 KB", "ok"),
                          ("arguments of 100,000 brackets", "error"), ("arguments of 100 KB", "ok")):
        assert [a["outcome"] for a in tool_answers(world, lone[name])] == [outcome], name
    for name in ("a tool's name of 100 KB", "a tool's name with quotes"):
        asked = world.requests(lone[name])[1]["body"]["messages"][-2]["tool_calls"][0]["function"]["name"]
        assert asked.replace("_", "").replace("look", "x").isalnum() and len(asked) <= 64, "servers refuse other names"


SECRET_400 = {"status": 400, "body": json.dumps({"error": {
    "message": "No.\r\nX-Evil: 1\0" + "wrong key sk-abcdefghijklmnop1234567890 " * 1000}})}


def test_a_providers_words_are_bounded_and_hide_keys(world):
    task, result = world.one("<a 400 for good>", agent="lone")
    assert (result["status"], result["error"]) == ("failed", "model_request_rejected")
    world.settled()
    letter, = [r for r in world.dlq.all() if r.header("stepmill.task_id") == task["task_id"]]
    message = letter.header("__dlq.errors.message")
    assert len(message) <= 1000 and message.isprintable() and "sk-abc" not in message + world.workers[0].text
    assert letter.value == world.encode(task, "lone")


def test_a_retry_after_without_sense_closes_that_model_only(world):
    for _ in range(3):
        task, result = world.one("<any>", agent="shy")
        assert (result["status"], result["model"]) == ("completed", "good")
    assert sum(c["count"] for c in world.calls() if c["name"] == "later") == 1, "it asked for a pause: it has one, for a day"


TOOL_BODIES = [("100,000 brackets", said("[" * 30_000)), ("CRLF and NUL", said("a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")),
               ("a 404 of 200 KB", {"status": 404, "body": "<p>" * 66_000})]


@pytest.fixture(scope="module")
def tools(world):
    names = [name for name, *_ in [*http_rows(), *TOOL_BODIES]]
    return run(world, {name: new_task(f'[[fake: tools=look args={json.dumps({"row": name})} answer="done"]]') for name in names})


@pytest.mark.parametrize("name, code", [pytest.param(row[0], row[2], id=row[0]) for row in http_rows()])
def test_a_tool_that_breaks_http_is_tried_three_times_and_told(world, tools, name, code):
    result = world.result_of(tools[name])
    assert (result["status"], result["output"]) == ("completed", "done")
    body, = tool_answers(world, tools[name])
    assert (body["outcome"], [a["error"] for a in body["attempts"]]) == ("error", [code] * 3)
    assert code in body["content"]
    check_history(history(world, tools[name]), result)


def test_what_a_tool_says_is_text_and_nothing_else(world, tools):
    for name, text in (("100,000 brackets", "[" * 30_000), ("CRLF and NUL", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")):
        body, = tool_answers(world, tools[name])
        assert (body["outcome"], body["content"]) == ("ok", text)
        assert world.requests(tools[name])[1]["body"]["messages"][-1]["content"] == text
    body, = tool_answers(world, tools["a 404 of 200 KB"])
    assert body["outcome"] == "error" and body["truncated"] and len(body["content"]) < 66_000


def test_endless_answers_to_many_tasks_at_once_cost_bounded_memory(world):
    worker = world.workers[0]
    before = memory_peak(worker.process.pid, reset=True)
    world.fakes.post("/fakes/faults", {"model:bad": "endless"})
    tasks = [new_task("<any>", agent="pair") for _ in range(40)]
    world.submit(*tasks)
    for task in tasks:
        assert world.result_of(task)["model"] == "good"
    world.fakes.post("/fakes/faults", {"model:bad": None})
    grown = memory_peak(worker.process.pid) - before
    print(f"{len(tasks)} endless answers at once: {grown / MIB:.1f} MiB more than {before / MIB:.1f} MiB")
    if TIME_FACTOR == 1:
        assert grown < len(tasks) * MIB * 5 / 4 + 8 * MIB


def test_the_worker_is_well_after_all_of_them(world, models, lone, tools):
    worker = world.workers[0]
    assert world.one("<any>")[1]["status"] == "completed"
    assert worker.get("/livez")[0] == worker.get("/readyz")[0] == 200
    if TIME_FACTOR == 1:
        assert worker.metric("stepmill_loop_slow_turns") == 0, "no callback may use more than 100 ms of CPU"
    world.settled()
