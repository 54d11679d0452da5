"""When tools fail: what the model is told, what is called again, and what never is."""
import json
import re
import time

import pytest

from places import TIME_FACTOR
from proof import check_history
from records import new_task

LARGEST = 8 << 10


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world(
        tools={"look": {"timeout_ms": int(500 * TIME_FACTOR)}, "other": {}, "book": {"repeatable": False, "timeout_ms": int(700 * TIME_FACTOR)},
               "pay": {"repeatable": False, "timeout_ms": int(700 * TIME_FACTOR), "on_unknown": "fail"}, "hidden": {},
               "shy": {}},
        agents={"search": {"tools": ["look", "other", "book", "pay", "shy"]}}, limits={"tool_answer": f"{LARGEST // 1024}KiB"})
    world.start()
    return world


def tool_events(world, task):
    return [e.body for e in world.history_of(task) if e.kind == "ToolAnswered"]


def told(world, task, step=2):
    """The tool messages that the model saw in its call number `step`."""
    return [m["content"] for m in world.requests(task)[step - 1]["body"]["messages"] if m["role"] == "tool"]


def tool_counts(world, task):
    return {c["name"]: (c["count"], c["effects"]) for c in world.calls(task) if c["kind"] == "tool"}


def rows():
    """name, directive, outcome, what the model is told, (requests, effects), errors of the attempts before"""
    ok = '"ok":true'
    yield "answers", "tools=look", "ok", ok, (1, 1), []
    yield "fails twice", "tools=look tool_fail=500x2", "ok", ok, (3, 1), ["tool_http_5xx"] * 2
    yield "fails three times", "tools=look tool_fail=500", "error", "tool_http_5xx", (3, 0), ["tool_http_5xx"] * 3
    yield "does not answer", "tools=look tool_fail=hangx1", "ok", ok, (2, 1), ["timeout"]
    # a kept connection may die just as it is used: that is repeated once without being counted
    yield "loses its answer", "tools=look tool_fail=reset!x2", "ok", ok, (3, 1), {"connection_lost"}
    yield "cuts its answer", "tools=look tool_fail=truncatedx1", "ok", ok, (2, 1), ["connection_lost"]
    yield "slow down", "tools=look tool_fail=429:1x1", "ok", ok, (2, 1), ["tool_rate_limited"]
    yield "slow down for long", "tools=look tool_fail=429:0x5", "ok", ok, (6, 1), ["tool_rate_limited"] * 5
    yield "asks for an hour", "tools=shy tool_fail=429:3600x1", "error", "again in 3600 s", (1, 0), ["tool_rate_limited"]
    yield "refuses", "tools=look tool_fail=400", "error", "400", (1, 0), []
    yield "not found", "tools=look tool_fail=404", "error", "404", (1, 0), []
    yield "bad arguments", 'tools=look args="{broken"', "error", "arguments", None, []
    yield "arguments that are no object", 'tools=look args="[1]"', "error", "arguments", None, []
    yield "no such tool", "tools=nothere", "refused", "nothere|no such tool", None, []
    yield "not this agent's", "tools=hidden", "refused", "hidden|no such tool", None, []
    yield "book answers", "tools=book", "ok", ok, (1, 1), []
    yield "book busy", "tools=book tool_fail=503x1", "ok", ok, (2, 1), ["tool_http_5xx"]
    yield "book slow down", "tools=book tool_fail=429:0x2", "ok", ok, (3, 1), ["tool_rate_limited"] * 2
    yield "book lost before", "tools=book tool_fail=resetx1", "unknown", "unknown", (1, 0), ["connection_lost"]
    yield "book lost after", "tools=book tool_fail=reset!x1", "unknown", "unknown", (1, 1), ["connection_lost"]
    yield "book silent", "tools=book tool_fail=hangx1", "unknown", "unknown", (1, 0), ["timeout"]
    yield "book fails", "tools=book tool_fail=500x1", "unknown", "unknown", (1, 0), ["tool_http_5xx"]


@pytest.mark.parametrize("prompt, outcome, text, counts, errors", [pytest.param(*row[1:], id=row[0]) for row in rows()])
def test_tool_trouble_is_told_to_the_model(world, prompt, outcome, text, counts, errors):
    task, result = world.one(f"[[fake: {prompt} answer=\"done\"]]")
    assert (result["status"], result["output"], result["tool_calls"], result["steps_used"]) == ("completed", "done", 1, 2)
    body, = tool_events(world, task)
    assert (body["outcome"], type(errors)(a["error"] for a in body["attempts"])) == (outcome, errors)
    assert type(errors)(line["code"] for line in world.workers[0].lines("tool.attempt_failed", task_id=task["task_id"])) == errors
    assert re.search(text, body["content"]), body["content"]
    assert told(world, task) == [body["content"]]
    name = re.search(r"tools=(\w+)", prompt)[1]
    assert tool_counts(world, task) == ({name: counts} if counts else {})
    check_history(world.history_of(task), result)
    world.settled()
    assert not [r for r in world.dlq.all() if r.header("stepmill.task_id") == task["task_id"]]


def test_a_tool_that_must_not_be_left_in_doubt_fails_the_task(world):
    task, result = world.one("[[fake: tools=pay tool_fail=reset!x1]]")
    assert (result["status"], result["error"]) == ("failed", "tool_outcome_unknown")
    assert tool_counts(world, task) == {"pay": (1, 1)}
    world.settled()
    letter, = [r for r in world.dlq.all() if r.header("stepmill.task_id") == task["task_id"]]
    assert (letter.header("stepmill.retryable"), letter.header("stepmill.stage")) == ("false", "tool")
    check_history(world.history_of(task), result)


def test_calls_of_one_answer_run_in_parallel_and_are_told_in_order(world):
    prompt = '[[fake: tools=look+other+book tool_latency.look=400ms tool_latency.other=400ms tool_latency.book=400ms]]'
    task, result = world.one(prompt)
    bodies = tool_events(world, task)
    assert [b["name"] for b in bodies] == ["look", "other", "book"]
    assert told(world, task) == [b["content"] for b in bodies]
    calls = [c for c in world.calls(task) if c["kind"] == "tool"]
    assert max(c["first_at"] for c in calls) - min(c["first_at"] for c in calls) < 0.4, "none waits for another"
    assert len({b["idempotency_key"] for b in bodies}) == 3
    assert {b["idempotency_key"] for b in bodies} == {c["key"] for c in calls}
    check_history(world.history_of(task), result)


def test_more_than_32_calls_of_one_answer_are_refused(world):
    task, result = world.one("[[fake: tools=look tool_calls=40]]")
    assert (result["status"], result["tool_calls"]) == ("completed", 32)
    history = world.history_of(task)
    assert history[1].body["tool_calls_refused"] == 8
    assert len(told(world, task)) == 32
    check_history(history, result)


def test_a_request_to_a_tool_is_as_the_contract_says(world):
    task, _ = world.one('[[fake: tools=look args={"q":"Grüße"}]]')
    request, = [r for r in world.fakes.get(f"/fakes/requests?prefix={task['task_id']}/&last=100")["requests"] if "/tools/" in r["path"]]
    headers = {k.lower(): v for k, v in request["headers"].items()}
    body = request["body"] if isinstance(request["body"], dict) else json.loads(request["body"])
    assert (request["method"], body) == ("POST", {"params": {"q": "Grüße"}})
    assert headers["x-agent-id"] == "search"
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", headers["x-request-id"])
    assert re.fullmatch(f'"{task["task_id"]}/2/[0-9a-f]{{8}}"', headers["idempotency-key"])
    event = world.history_of(task)[2]
    assert headers["traceparent"].split("-")[1] == event.data["trace_id"]
    assert headers["content-type"].startswith("application/json")


def test_a_big_answer_is_cut_and_marked(world):
    task, result = world.one(f"[[fake: tools=look tool_fail=huge:{LARGEST * 2}]]")
    body, = tool_events(world, task)
    assert body["outcome"] == "ok" and body["truncated"]
    assert LARGEST - 200 < len(body["content"].encode()) <= LARGEST + 200
    assert told(world, task) == [body["content"]]
    check_history(world.history_of(task), result)


def test_an_answer_larger_than_any_is_an_error_told_to_the_model(world):
    task, result = world.one("[[fake: tools=look tool_fail=huge:8000000 answer=\"done\"]]")
    assert (result["status"], result["output"]) == ("completed", "done")
    body, = tool_events(world, task)
    assert (body["outcome"], body["truncated"]) in (("ok", True), ("error", False))


def test_a_model_that_repeats_its_call_ids_is_understood(world):
    for ids in ("same", "none"):
        task, result = world.one(f"[[fake: tools=look+other call_ids={ids} answer=\"done\"]]")
        assert (result["status"], result["output"]) == ("completed", "done")
        assert len({b["idempotency_key"] for b in tool_events(world, task)}) == 2
        messages = world.requests(task)[1]["body"]["messages"]
        asked = [c["id"] for m in messages if m["role"] == "assistant" for c in m["tool_calls"]]
        assert [m["tool_call_id"] for m in messages if m["role"] == "tool"] == asked
        assert all(asked)


def test_a_crash_while_a_tool_runs_that_must_not_run_twice(make_world):
    """The claim holds: the call is never made again, its answer is unknown."""
    world = make_world(tools={"look": {}, "book": {"repeatable": False, "timeout_ms": 3000}},
                       agents={"search": {"tools": ["look", "book"]}})
    worker = world.start()
    task = new_task("[[fake: tools=book tool_latency.book=2500ms answer=\"done\"]]")
    world.submit(task)
    while not tool_counts(world, task):
        pass
    worker.kill()
    world.start()
    result = world.result_of(task, 60)
    assert (result["status"], result["output"]) == ("completed", "done")
    body, = tool_events(world, task)
    assert body["outcome"] == "unknown"
    assert tool_counts(world, task)["book"][0] == 1
    check_history(world.history_of(task), result)


def test_calls_above_the_rate_limit_wait_and_use_no_attempt(make_world):
    """12 a minute: two at once, then one each 5.5 s, whoever asks."""
    world = make_world(tools={"look": {"rate_limit": 12}, "other": {}})
    worker = world.start()
    tasks = [new_task("[[fake: steps=2 tools=look]]") for _ in range(4)]
    begin = time.monotonic()
    world.run(*tasks, seconds=60)
    assert 10.5 < time.monotonic() - begin, "the fourth call waited for two places"
    answers = [body for task in tasks for body in tool_events(world, task)]
    assert [(a["outcome"], a["attempts"]) for a in answers] == [("ok", [])] * 4
    assert worker.metric("stepmill_tool_rate_waits_total", agent_id="search", tool_name="look") >= 3
