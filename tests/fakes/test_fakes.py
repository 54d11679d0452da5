"""The model from outside: its defaults, every directive, every fault. The program: $STEPMILL_FAKES, or build/stepmill-fakes."""
import http.client
import json
import time
from email.utils import parsedate_to_datetime

import pytest

from fakes_client import TOOLS, new_task

# --- what happens with no rule


def test_default_is_one_tool_call_then_an_answer(fakes):
    first = fakes.chat("hello")
    assert first.choice["finish_reason"] == "tool_calls"
    [(name, arguments)] = first.calls
    assert name == "look"
    assert json.loads(arguments) == {"q": "example", "n": 3, "kind": "red"}
    last = fakes.chat("hello", step=2)
    assert last.choice["finish_reason"] == "stop" and not last.calls and len(last.content) == 1400
    assert last.json["usage"]["total_tokens"] == last.json["usage"]["prompt_tokens"] + last.json["usage"]["completion_tokens"] > 100
    assert fakes.chat("hello", tools=[]).choice["finish_reason"] == "stop"


def test_a_new_user_message_starts_a_new_task(fakes):
    old = [{"role": "user", "content": "before [[fake: answer=old]]"}, {"role": "assistant", "content": "old"}]
    body = {"model": "m", "messages": [*old, {"role": "user", "content": [{"type": "text", "text": "now [[fake: steps=1 "}, {"type": "text", "text": "answer=new]]"}]}]}
    assert fakes.send("POST", "/v1/chat/completions", body).content == "new"


def test_ids_are_stable_for_a_key_and_differ_between_calls(fakes):
    task = new_task()
    ids = [[c["id"] for c in fakes.chat("[[fake: tools=look tool_calls=3]]", task=t).choice["message"]["tool_calls"]] for t in (task, task, new_task())]
    assert ids[0] == ids[1] and len(set(ids[0] + ids[2])) == 6


@pytest.mark.parametrize("body, why", [
    ("{", "JSON"), ("[]", "JSON"), ('{"model":"m"}', "messages"), ('{"messages":[{"role":"user","content":"x"}]}', "model"),
    ('{"model":"m","messages":[{"role":"king"}]}', "role"), ('{"model":"m","messages":[{"role":"user","content":"x"},]}', "messages"),
    ('{"model":"m","messages":[{"role":"user","content":"\n"}]}', "JSON"), ('{"model":"m","messages":[{"role":"user","content":01}]}', "JSON"),
    ('{"model":"m","messages":[{"role":"user","content":' + "[" * 300 + "]" * 300 + "}]}", "JSON")])
def test_bad_bodies_are_refused(fakes, body, why):
    answer = fakes.send("POST", "/v1/chat/completions", body)
    assert answer.status == 400 and why in answer.json["error"]["message"]


def test_streaming(fakes):
    answer = fakes.chat("[[fake: answer=streamed]]", tools=[], stream=True)
    events = [line[6:] for line in answer.body.decode().split("\n\n") if line]
    assert answer.headers["content-type"] == "text/event-stream" and events[-1] == "[DONE]"
    chunks = [json.loads(e) for e in events[:-1]]
    assert chunks[0]["choices"][0]["delta"]["content"] == "streamed" and chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_models_health_and_unknown_paths(fakes):
    assert [m["id"] for m in fakes.get("/v1/models")["data"]] == ["gpt-4o", "gpt-4o-mini"]
    assert fakes.send("GET", "/tools/look").status == fakes.send("GET", "/health").status == 200
    assert fakes.send("GET", "/nothing").status == 404 and fakes.send("POST", "/tools/look", "{}").status == 400


# --- directives


def test_steps_groups_and_parallel_calls(fakes):
    prompt = "[[fake: steps=4 tools=look+book,book tool_calls@3=4 args.look={\"q\":\"{{step}}\"} answer=\"all \\\"done\\\"\"]]"
    assert fakes.chat(prompt).calls == [("look", '{"q":"1"}'), ("book", "{}")]
    assert fakes.chat(prompt, step=2).calls == [("book", "{}")]
    assert [name for name, _ in fakes.chat(prompt, step=3).calls] == ["look", "book", "look", "book"]
    assert fakes.chat(prompt, step=4).content == 'all "done"'


def test_steps_default_to_one_per_group_and_the_answer(fakes):
    assert fakes.chat("[[fake: tools=look,book]]", step=2).calls == [("book", "{}")]
    assert fakes.chat("[[fake: tools=look,book]]", step=3).content == "Done after 3 steps."
    assert fakes.chat("[[fake: steps=1]]").content == "Done after 1 step."


def test_unknown_tool_broken_arguments_and_ids(fakes):
    assert fakes.chat('[[fake: tools=nosuch args="{broken"]]').calls == [("nosuch", "{broken")]
    same = fakes.chat("[[fake: tools=look+book call_ids=same]]").choice["message"]["tool_calls"]
    assert same[0]["id"] == same[1]["id"]
    assert "id" not in fakes.chat("[[fake: tools=look call_ids=none]]").choice["message"]["tool_calls"][0]


def test_usage_and_finish(fakes):
    def usage(prompt):
        u = fakes.chat(prompt, tools=[]).json["usage"]
        return u["prompt_tokens"], u["completion_tokens"], u["total_tokens"]

    assert usage("[[fake: tokens=900]]") == (600, 300, 900)
    assert usage("[[fake: tokens=100+7]]") == (100, 7, 107)
    assert usage("[[fake: tokens@2=5 prompt_tokens=11 completion_tokens=0]]") == (11, 0, 11)
    assert "usage" not in fakes.chat("[[fake: usage=none]]", tools=[]).json
    assert fakes.chat("[[fake: finish=length size=10]]", tools=[]).choice["finish_reason"] == "length"
    assert fakes.chat("[[fake: finish=length tools=look]]").choice["finish_reason"] == "tool_calls"
    assert len(fakes.chat("[[fake: size=5000]]", tools=[]).content) == 5000


def test_latency_per_step_and_model(fakes):
    def took(**more):
        start = time.monotonic()
        fakes.chat("[[fake: steps=2 latency@2=300ms latency/slow-one=150ms..200ms]]", **more)
        return time.monotonic() - start

    assert took() < 0.12 and 0.3 <= took(step=2) < 0.6 and 0.15 <= took(model="slow-one") < 0.35


def test_fails_are_counted_per_task_and_tried_in_order(fakes):
    prompt, task = "[[fake: steps=1 fail=500x2 fail=429:1x1 answer=ok]]", new_task()
    answers = [fakes.chat(prompt, task=task) for _ in range(4)]
    assert [a.status for a in answers] == [500, 500, 429, 200]
    assert answers[2].headers["retry-after"] == "1" and answers[2].json["error"]["code"] == "rate_limit_exceeded"
    assert fakes.chat(prompt, task=new_task()).status == 500
    assert [fakes.chat("no key " + prompt).status for _ in range(4)] == [500, 500, 429, 200]


def test_fail_by_step_and_model(fakes):
    prompt = "[[fake: steps=3 tools=look fail@2=503 fail/broken=401]]"
    assert [fakes.chat(prompt, step=s).status for s in (1, 2, 3)] == [200, 503, 200]
    assert fakes.chat(prompt, model="broken").status == 401


@pytest.mark.parametrize("words", ["steps", "speed=1", "steps=x", "fail=maybe", "latency=5", "steps=2 tools=a args={broken", "answer=\"open", "fail@0=500", "tokens=a+b"])
def test_wrong_directives_say_so(fakes, words):
    answer = fakes.chat(f"[[fake: {words}]]", tools=TOOLS if words != "answer" else [])
    answer = answer if answer.status == 400 else fakes.chat(f"[[fake: {words}]]", step=2)
    assert answer.status == 400 and answer.json["error"]["code"] == "fake_directive"


# --- faults


def test_statuses_quota_context_and_html(fakes):
    assert [fakes.chat(f"[[fake: fail={s}]]").status for s in (400, 401, 404, 422, 500, 502, 503, 529)] == [400, 401, 404, 422, 500, 502, 503, 529]
    quota = fakes.chat("[[fake: fail=quota]]")
    assert quota.status == 429 and quota.json["error"]["code"] == "insufficient_quota"
    assert fakes.chat("[[fake: fail=context]]").json["error"]["code"] == "context_length_exceeded"
    html = fakes.chat("[[fake: fail=html]]")
    assert html.status == 502 and html.body.startswith(b"<html>")
    date = parsedate_to_datetime(fakes.chat("[[fake: fail=503:date+30]]").headers["retry-after"])
    assert 25 < date.timestamp() - time.time() < 35


def test_spoiled_answers(fakes):
    with pytest.raises(ValueError):
        fakes.chat("[[fake: fail=garbage]]").json
    assert fakes.chat("[[fake: fail=no_choices]]").json["choices"] == []
    empty = fakes.chat("[[fake: fail=empty]]")
    assert empty.content == "" and not empty.calls
    filtered = fakes.chat("[[fake: fail=content_filter]]").choice
    assert filtered["finish_reason"] == "content_filter" and filtered["message"]["content"] == ""
    refused = fakes.chat("[[fake: fail=refusal]]").choice["message"]
    assert refused["content"] is None and refused["refusal"]
    assert len(fakes.chat("[[fake: fail=huge:3000000]]", tools=[]).content) == 3000000


def test_connections_that_end_badly(fakes):
    with pytest.raises(ConnectionResetError):
        fakes.chat("[[fake: fail=reset]]")
    with pytest.raises(http.client.RemoteDisconnected):
        fakes.chat("[[fake: fail=close]]")
    with pytest.raises(http.client.IncompleteRead):
        fakes.chat("[[fake: fail=truncated]]")
    with pytest.raises(TimeoutError):
        fakes.chat("[[fake: fail=hang]]", timeout=0.5)


def test_slow_comes_byte_by_byte(fakes):
    start = time.monotonic()
    answer = fakes.chat("[[fake: fail=slow:1ms answer=slowly]]", tools=[])
    assert answer.content == "slowly" and time.monotonic() - start > len(answer.body) * 0.001


def test_chance(fresh):
    bad = sum(fresh.chat("[[fake: fail=500%30]]").status == 500 for _ in range(300))
    assert 50 < bad < 140
