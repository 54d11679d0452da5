"""When models fail: each class of DELIVERY §5, what is tried, what is told, what is paid."""
import time

import pytest

from places import TIME_FACTOR
from proof import check_history
from records import new_task
from test_poison import HEADERS
from worker import wait_for


@pytest.fixture(scope="module")
def world(make_shared_world):
    """One worker for the file: agents that differ in their models."""
    model = {"timeout": f"{int(500 * TIME_FACTOR)}ms"}
    world = make_shared_world(
        agents={"search": {}, "pair": {"models": ["first", "second"]}, "brief": {"models": ["brief"], "deadline": "1s"},
                "limited": {"models": ["limited"], "session_token_budget": 1000}, "shut": {"models": ["shut"]},
                "lone": {"models": ["lone"]}},
        models={"primary": model, "first": model, "second": model, "brief": {}, "limited": {}, "shut": model, "lone": model},
        breaker={"failures": 5, "open": "300ms"}, limits={"model_answer": "1MiB"})
    world.start()
    return world


def answered(world, task):
    """The bodies of its ModelAnswered events."""
    return [e.body for e in world.history_of(task) if e.kind == "ModelAnswered"]


def letters_of(world, task):
    world.settled()
    return [r for r in world.dlq.all() if r.header("stepmill.task_id") == task["task_id"]]


def check_letter(world, task, letter, **headers):
    """The original bytes, key and headers, and why."""
    assert (letter.value, letter.key.decode()) == (world.encode(task, task["target_agent"]), task["session_id"])
    assert letter.headers[:len(HEADERS)] == HEADERS
    found = {name: letter.header(f"stepmill.{name}") for name in headers}
    assert found == headers
    assert letter.header("stepmill.agent") == task["target_agent"]
    assert letter.header("__dlq.errors.message")


def check_no_letter(world, task):
    assert not letters_of(world, task)


AGAIN = [("500x2", "model_http_500", 2), ("502", "model_http_502", 1), ("503", "model_http_503", 1), ("504", "model_http_504", 1),
         ("truncated", "connection_lost", 1),
         ("garbage", "model_answer_not_json", 1), ("html", "model_http_502", 1), ("empty", "model_answer_empty", 1),
         ("no_choices", "model_answer_empty", 1), ("hang", "timeout", 1), ("huge", "too_large", 1)]


@pytest.mark.parametrize("fault, code, times", AGAIN)
def test_again_is_tried_again_and_listed(world, fault, code, times):
    fault = fault if "x" in fault else f"{fault}x1"
    task, result = world.one(f"[[fake: steps=1 fail={fault} answer=\"at last\"]]")
    assert (result["status"], result["output"]) == ("completed", "at last")
    body, = answered(world, task)
    assert [(a["target"], a["error"]) for a in body["attempts"]] == [("primary", code)] * times
    logged = world.workers[0].wait_log("llm.attempt_failed", task_id=task["task_id"])
    assert [(line["name"], line["code"]) for line in logged] == [("primary", code)] * times
    check_history(world.history_of(task), result)
    assert len({c["key"] for c in world.calls(task)}) == 1, "each attempt has the same key"


@pytest.mark.parametrize("fault", ["reset", "close"])
def test_a_lost_connection_is_made_again(world, fault):
    """A kept connection may die just as it is used: that is repeated once without being counted."""
    task, result = world.one(f"[[fake: steps=1 fail={fault}x3 answer=\"at last\"]]")
    assert (result["status"], result["output"]) == ("completed", "at last")
    body, = answered(world, task)
    assert {(a["target"], a["error"]) for a in body["attempts"]} == {("primary", "connection_lost")}
    assert [c["count"] for c in world.calls(task)] == [4]


def test_the_cascade_goes_to_the_second_model_at_once(world):
    task, result = world.one("[[fake: steps=1 fail/first=500]]", agent="pair")
    body, = answered(world, task)
    assert (body["model_entry"], result["model"]) == ("second", "second")
    assert [(a["target"], a["error"]) for a in body["attempts"]] == [("first", "model_http_500")]
    fallback = world.workers[0].wait_log("llm.fallback", task_id=task["task_id"])[0]
    assert (fallback["from_model"], fallback["reason"]) == ("first", "model_http_500")


@pytest.mark.parametrize("fault, seconds", [("429:1x1", 1), ("429:1x2", 2), ("503:1x1", 0), ("529:1x1", 1)])
def test_slow_down_waits_as_long_as_it_is_told(world, fault, seconds):
    begin = time.monotonic()
    task, result = world.one(f"[[fake: steps=1 fail={fault}]]")
    assert result["status"] == "completed"
    took = time.monotonic() - begin
    assert took >= seconds
    if TIME_FACTOR == 1:
        assert took < seconds + 2
    assert sum(c["count"] for c in world.calls(task)) == 1 + int(fault[-1])


def test_slow_down_passes_to_the_second_model_and_closes_the_first_for_all(world):
    task, _ = world.one("[[fake: steps=1 fail/first=429:2x1]]", agent="pair")
    assert answered(world, task)[0]["model_entry"] == "second"
    other, _ = world.one("[[fake: steps=1]]", agent="pair")
    assert answered(world, other)[0]["model_entry"] == "second", "nobody asks the first before its time"
    assert {c["name"] for c in world.calls(other)} == {"second"}
    time.sleep(2)
    third, _ = world.one("[[fake: steps=1]]", agent="pair")
    assert answered(world, third)[0]["model_entry"] == "first"


def test_many_slow_downs_use_up_no_attempt(world):
    task, result = world.one("[[fake: steps=1 fail=429:0x6]]")
    assert result["status"] == "completed"
    check_no_letter(world, task)


@pytest.mark.parametrize("fault", ["401", "403", "404", "quota", "503"])
def test_wait_while_no_model_can_answer(world, fault):
    """Wrong key, forbidden, unknown model, unpaid, or down: the tasks wait, nothing is dead-lettered, and all go on afterwards."""
    outage = {"kind": fault} if not fault.isdigit() else {"status": int(fault)}
    worker = world.workers[0]
    opened = len(worker.lines("model.breaker.open", model="shut"))
    world.fakes.post("/fakes/faults", {"model:shut": outage})
    tasks = [new_task("[[fake: steps=1]]", agent="shut") for _ in range(12)]
    world.submit(*tasks)
    wait_for("degraded", 10, lambda: '"status":"degraded"' in worker.get("/readyz")[1])
    status, detail = worker.get("/readyz")
    assert status == 200 and '"shut":{"ok":false' in detail
    time.sleep(1)
    worker.wait_log("model.breaker.open", count=opened + 1, model="shut")
    if fault != "503":
        assert sum(c["count"] for t in tasks for c in world.calls(t)) <= 12 + 6, "one probe at a time"
    world.fakes.post("/fakes/faults", {"model:shut": None})
    for task in tasks:
        assert world.result_of(task)["status"] == "completed"
        check_no_letter(world, task)
    wait_for("ready again", 10, lambda: '"status":"ready"' in worker.get("/readyz")[1])


def test_the_agents_deadline_stands_still_during_an_outage(world):
    world.fakes.post("/fakes/faults", {"model:brief": "401"})
    task = new_task("[[fake: steps=1]]", agent="brief")
    world.submit(task)
    time.sleep(2.5)
    world.fakes.post("/fakes/faults", {"model:brief": None})
    assert world.result_of(task)["status"] == "completed"


def test_the_callers_deadline_does_not_stand_still(world):
    """deadline_at passes in a wait: a result that says so, no dead letter."""
    world.fakes.post("/fakes/faults", {"model:brief": "401"})
    task = new_task("[[fake: steps=1]]", agent="brief", deadline_at=int(time.time() * 1000) + 700)
    world.submit(task)
    result = world.result_of(task)
    world.fakes.post("/fakes/faults", {"model:brief": None})
    assert (result["status"], result["error"]) == ("failed", "deadline_exceeded")
    check_no_letter(world, task)


def test_the_callers_deadline_ends_a_call_on_time(world):
    """Two clocks are read: a timer that rings a fraction of a millisecond early rings again."""
    begin = time.time()
    tasks = [new_task("[[fake: steps=1 latency=400ms]]", agent="lone", deadline_at=int(begin * 1000) + 150 + n) for n in range(100)]
    world.submit(*tasks)
    results = [world.result_of(task) for task in tasks]
    assert {(r["status"], r["error"]) for r in results} == {("failed", "deadline_exceeded")}
    late = [r["finished_at"].timestamp() * 1000 - t["deadline_at"] for r, t in zip(results, tasks)]
    assert max(late) < 100 or TIME_FACTOR > 1, sorted(late)[-5:]


def test_exhausted_when_others_are_answered(world):
    """Three rounds are used up while the model answers other tasks: it is this task."""
    task = new_task("[[fake: steps=1 fail=500 latency=300ms]]")
    world.submit(task, headers=HEADERS)
    for _ in range(200):
        world.one("[[fake: steps=1]]")
        if world.results.of_task(task["task_id"]):
            break
    result = world.result_of(task)
    assert (result["status"], result["error"], result["output"]) == ("failed", "model_http_500", None)
    letter, = letters_of(world, task)
    check_letter(world, task, letter, **{"class": "exhausted", "code": "model_http_500", "stage": "model", "retryable": "true",
                                         "task_id": task["task_id"]})
    calls = sum(c["count"] for c in world.calls(task))
    assert int(letter.header("stepmill.attempts")) == calls
    assert calls == 3 or TIME_FACTOR > 1
    assert [e.kind for e in world.history_of(task)] == ["TaskStarted", "TaskFailed"]
    check_history(world.history_of(task), result)


def test_a_lone_task_is_not_exhausted_but_waits(world):
    """Nobody is answered: an outage, however many rounds it takes."""
    task = new_task("[[fake: steps=1 fail=500x9 answer=\"at last\"]]", agent="lone")
    world.submit(task)
    assert world.result_of(task, 60)["output"] == "at last"
    assert sum(c["count"] for c in world.calls(task)) == 10
    check_no_letter(world, task)


@pytest.mark.parametrize("fault, code", [("400", "model_request_rejected"), ("422", "model_request_rejected"),
                                         ("413", "model_request_too_large"), ("context", "context_length_exceeded")])
def test_rejected_by_every_model(world, fault, code):
    task, result = world.one(f"[[fake: steps=1 fail={fault}]]", agent="pair", headers=HEADERS)
    assert (result["status"], result["error"]) == ("failed", code)
    letter, = letters_of(world, task)
    check_letter(world, task, letter, **{"class": "rejected", "code": code, "retryable": "false", "stage": "model"})
    assert sorted((c["name"], c["count"]) for c in world.calls(task)) == [("first", 1), ("second", 1)]
    check_history(world.history_of(task), result)


def test_rejected_by_one_model_is_answered_by_the_other(world):
    task, result = world.one("[[fake: steps=1 fail/first=400]]", agent="pair")
    assert (result["status"], result["model"]) == ("completed", "second")
    check_no_letter(world, task)


def test_the_agents_deadline_fails_the_task(world):
    task, result = world.one("[[fake: tools=look content=\"so far\" latency@2=20s]]", agent="brief", headers=HEADERS)
    assert (result["status"], result["error"], result["output"]) == ("failed", "agent_deadline", "so far")
    letter, = letters_of(world, task)
    check_letter(world, task, letter, **{"class": "timeout", "code": "agent_deadline", "retryable": "true"})
    check_history(world.history_of(task), result)


def limits():
    yield "token budget", {"token_budget": 512}, "steps=9 tools=look content=\"so far\" tokens=200+100", \
        ("completed", "token_budget_exceeded", "so far"), 2
    yield "max steps", {"max_steps": 3}, "steps=99 tools=look content=\"so far\" tokens=10+5", \
        ("completed", "max_steps_reached", "so far"), 3
    yield "length", {}, "steps=1 finish=length answer=\"cut o\"", ("completed", "output_truncated", "cut o"), 1
    yield "content filter", {}, "steps=1 fail=content_filter", ("failed", "refused", None), 1
    yield "refusal", {}, "steps=1 fail=refusal", ("failed", "refused", None), 1
    yield "deadline passed", {"deadline_at": 1}, "steps=1", ("failed", "deadline_exceeded", None), 0


@pytest.mark.parametrize("fields, prompt, expected, steps", [pytest.param(*row[1:], id=row[0]) for row in limits()])
def test_limit_is_a_result_and_no_dead_letter(world, fields, prompt, expected, steps):
    task, result = world.one(f"[[fake: {prompt}]]", **fields)
    assert (result["status"], result["error"]) == expected[:2]
    if expected[2] or result["status"] == "completed":
        assert result["output"] == expected[2]
    assert result["steps_used"] == steps == sum(c["count"] for c in world.calls(task) if c["kind"] == "model")
    check_no_letter(world, task)
    check_history(world.history_of(task), result)


def test_a_cancelled_task_ends_with_what_it_has(world):
    task = new_task("[[fake: steps=9 tools=look content=\"so far\" latency@3=300ms]]")
    world.submit(task)
    wait_for("two steps", 20, lambda: world.redis.hlen(world.key(f"checkpoint:{task['task_id']}")) >= 5)
    world.redis.set(world.key(f"cancel:{task['task_id']}"), "1")
    result = world.result_of(task)
    assert (result["status"], result["output"]) == ("cancelled", "so far")
    assert result["steps_used"] == 3
    check_no_letter(world, task)
    check_history(world.history_of(task), result)


@pytest.mark.parametrize("starts, expected", [(6, ("completed", None)), (8, ("failed", "crash_loop"))])
def test_a_task_that_kills_its_worker_runs_alone_and_then_no_more(world, starts, expected):
    """The count of starts without a step is what earlier workers left in Redis."""
    task = new_task("[[fake: steps=1]]")
    world.redis.hset(world.key(f"claims:{task['task_id']}"), "starts", f"{starts} another:1")
    result = world.run(task, headers=HEADERS)[0]
    assert (result["status"], result["error"]) == expected
    letters = letters_of(world, task)
    if expected[1]:
        assert not world.calls(task)
        check_letter(world, task, letters[0], **{"class": "exhausted", "code": "crash_loop", "retryable": "true"})
    else:
        assert not letters


def tool_call_span(world, task):
    """When its only tool call began and ended, in ms, as its worker saw it."""
    answered, = [e for e in world.history_of(task) if e.kind == "ToolAnswered"]
    end = answered.data["at"].timestamp() * 1000
    return end - answered.body["duration_ms"], end


def test_suspects_call_their_tools_alone_too(world):
    """What kills the worker may be a tool's answer: tasks that resume at their tool calls take turns like those that call a model."""
    tasks = [new_task("[[fake: steps=2 tools=look tool_latency=1500ms]]") for _ in range(3)]
    world.submit(*tasks)
    wait_for("their tool calls", 20, lambda: all(any(c["kind"] == "tool" for c in world.calls(t)) for t in tasks))
    world.workers[-1].kill()
    for task in tasks:
        world.redis.hset(world.key(f"claims:{task['task_id']}"), "starts", "6 another:1")
    world.start()
    for task in tasks:
        assert world.result_of(task)["status"] == "completed"
    spans = sorted(tool_call_span(world, t) for t in tasks)
    assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:])), spans


def test_a_sessions_budget_ends_with_its_tokens(world):
    session = new_task()["session_id"]
    for n in range(2):
        _, result = world.one("[[fake: steps=1 tokens=400+200]]", agent="limited", session=session)
        assert result["status"] == "completed"
    task, result = world.one("[[fake: steps=1]]", agent="limited", session=session)
    assert (result["status"], result["error"]) == ("failed", "session_budget_exceeded")
    assert not world.calls(task)
    check_no_letter(world, task)
    _, other = world.one("[[fake: steps=1]]", agent="limited")
    assert other["status"] == "completed"


def test_a_sessions_budget_is_looked_at_before_each_call(world):
    task, result = world.one("[[fake: steps=5 tools=look tokens=400+200 content=\"so far\"]]", agent="limited")
    assert (result["status"], result["error"], result["output"]) == ("failed", "session_budget_exceeded", "so far")
    assert (result["steps_used"], result["tokens_used"]) == (2, 1200), "the second call went over it, so there is no third"
    check_no_letter(world, task)
    check_history(world.history_of(task), result)


def test_no_log_line_holds_a_key(world):
    assert "a-key-that-no-log-may-show" not in world.workers[0].text
    task, _ = world.one("[[fake: steps=1]]")
    headers = {k.lower(): v for k, v in world.requests(task)[0]["headers"].items()}
    assert headers["authorization"] == "Bearer a-key-that-no-log-may-show"
