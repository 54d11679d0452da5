"""The tools, the rules, the fakes' own API, HTTP itself, and many processes and connections, from outside."""
import http.client
import json
import pathlib
import resource
import socket
import subprocess
import threading
import time

import pytest

from fakes_client import PROGRAM, Fakes, new_task

HERE = pathlib.Path(__file__).resolve().parent

# --- tools


def test_a_key_has_one_effect_and_one_answer(fresh):
    key = f"{new_task()}/2/12345678"
    first, second = fresh.tool("book", {"a": 1}, key), fresh.tool("book", {"a": 1}, key)
    assert first.status == 200 and first.body == second.body
    call = fresh.call(key)
    assert (call["kind"], call["name"], call["count"], call["answered"], call["effects"], call["last_status"]) == ("tool", "book", 2, 2, 1, 200)
    assert time.time() - 60 < call["first_at"] <= call["last_at"] <= time.time() + 1
    assert fresh.tool("book", {"a": 1}).status == 200
    assert fresh.get("/fakes/stats")["tool"]["effects"] == 2


def test_keys_need_no_quotes(fresh):
    key = f"{new_task()}/0/12345678"
    fresh.send("POST", "/tools/book", {"params": {}}, {"idempotency-key": key})
    fresh.tool("book", {}, key)
    assert fresh.call(key)["count"] == 2


def test_params_direct_the_tool(fresh):
    key = f"{new_task()}/2/12345678"
    params = {"fake": {"fail": 500, "times": 2, "answer": {"late": True}, "latency": "100ms"}}
    start = time.monotonic()
    assert [fresh.tool("book", params, key).status for _ in range(3)] == [500, 500, 200]
    assert time.monotonic() - start >= 0.3
    assert fresh.tool("book", params, key).json == {"late": True}
    call = fresh.call(key)
    assert (call["count"], call["answered"], call["effects"]) == (4, 2, 1)
    assert fresh.tool("book", {"fake": {"status": 404, "answer": {"gone": 1}}}).status == 404


def test_prompt_directs_the_tools_of_its_task(fresh):
    task = new_task()
    fresh.chat("[[fake: tools=look,book tool_fail.look=503:1x1 tool_latency.book=200ms tool_answer.book={\"seat\":\"{{param.seat}}\"}]]", task=task)
    assert [fresh.tool("look", {}, f"{task}/1/aaaaaaaa").status for _ in range(2)] == [503, 200]
    start = time.monotonic()
    assert fresh.tool("book", {"seat": "4\"A"}, f"{task}/3/aaaaaaaa").json == {"seat": "4\"A"}
    assert time.monotonic() - start >= 0.2
    assert fresh.tool("look", {}, f"{new_task()}/1/aaaaaaaa").status == 200


def test_a_lost_answer_after_the_work_was_done(fresh):
    key = f"{new_task()}/2/12345678"
    with pytest.raises(ConnectionResetError):
        fresh.tool("book", {"fake": {"fail": "reset!x1"}}, key)
    assert fresh.call(key)["effects"] == 1 and fresh.call(key)["answered"] == 0
    assert fresh.tool("book", {"fake": {"fail": "reset!x1"}}, key).status == 200
    assert fresh.call(key)["effects"] == 1
    key = f"{new_task()}/2/12345678"
    with pytest.raises(ConnectionResetError):
        fresh.tool("book", {"fake": {"fail": "reset"}}, key)
    assert fresh.call(key)["effects"] == 0


def test_tool_faults_on_the_body(fresh):
    assert fresh.tool("book", {"fake": {"fail": "empty"}}).body == b""
    assert len(fresh.tool("book", {"fake": {"fail": "huge:400000"}}).json["data"]) == 400000
    with pytest.raises(http.client.IncompleteRead):
        fresh.tool("book", {"fake": {"fail": "truncated"}})


def test_answers_that_no_client_should_swallow(fresh):
    assert len(fresh.chat("[[fake: fail=headers:90]]").headers) > 90
    assert fresh.tool("book", {"fake": {"fail": "headers:7"}}).headers["x-fake-6"] == "6"
    assert fresh.send("POST", "/fakes/faults", {"model": "raw"}).status == 400 and fresh.chat("[[fake: fail=raw]]").status == 400
    fresh.post("/fakes/faults", {"model": {"kind": "raw", "body": "SSH-2.0-nothing\r\n"}})
    with pytest.raises(http.client.BadStatusLine):
        fresh.chat("hello")
    fresh.post("/fakes/faults", {"model": {"kind": "raw", "body": "HTTP/1.1 200 OK\r\n\r\nslow", "interval": "10ms"}})
    start = time.monotonic()
    assert fresh.chat("hello").body == b"slow" and time.monotonic() - start >= 0.2
    fresh.post("/fakes/faults", {"model": "endless"})
    with socket.create_connection(("127.0.0.1", fresh.port), timeout=5) as s:
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        got = 0
        while got < 20_000_000:
            got += len(s.recv(1 << 20))
    assert fresh.get("/fakes/stats")["model"]["answered"] >= 1, "it still serves others"


def test_an_answer_the_client_did_not_wait_for_is_not_answered(fresh):
    key = f"{new_task()}/2/12345678"
    with pytest.raises(TimeoutError):
        fresh.tool("book", {"fake": {"latency": "500ms"}}, key, timeout=0.1)
    deadline = time.monotonic() + 5
    while fresh.get("/fakes/stats")["abandoned"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    call = fresh.call(key)
    assert (call["count"], call["answered"], call["effects"]) == (1, 0, 1)


# --- rules, outages, control


def test_rules(fresh):
    fresh.post("/fakes/rules", {"rules": [
        {"on": "model", "match": {"header": {"x-mood": "bad"}}, "fault": {"status": 418, "body": {"tea": "pot"}}},
        {"on": "model", "match": {"model": "odd"}, "fault": "500", "times": 2, "per": "all"},
        {"on": "model", "match": {"system": "You help", "user_regex": "buy ([0-9]+) (.*)", "step": 1},
         "answer": {"tool_calls": [{"name": "book", "arguments": {"n": "{{1:number}}", "what": "{{2}}", "raw": "{{1}}"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}},
        {"on": "model", "match": {"tool_messages": 1, "tool_result": "seat"}, "answer": {"content": "Got {{tool_result}} on {{model}}", "finish_reason": "length"}},
        {"on": "tool", "match": {"tool": "book", "params": {"n": 3}}, "answer": {"no": "{{param.n:number}}"}, "status": 409, "idempotent": False, "latency": "50ms"}]})
    answer = fresh.chat('buy 12 "red" pens')
    assert [(n, json.loads(a)) for n, a in answer.calls] == [("book", {"n": 12, "what": '"red" pens', "raw": "12"})]
    assert answer.json["usage"]["total_tokens"] == 11 and answer.content is None
    last = fresh.chat("buy 1 pen", step=2, results=['{"seat": "4A"}'])
    assert last.content == 'Got {"seat": "4A"} on gpt-4o' and last.choice["finish_reason"] == "length"
    assert [fresh.chat("x", model="odd").status for _ in range(3)] == [500, 500, 200]
    assert fresh.chat("x", headers={"X-Mood": "bad"}).json == {"tea": "pot"}
    key = f"{new_task()}/2/12345678"
    assert [fresh.tool("book", {"n": 3}, key).json for _ in range(2)] == [{"no": 3}] * 2
    assert fresh.call(key)["effects"] == 2 and fresh.call(key)["answered"] == 0
    assert len(fresh.get("/fakes/rules")["rules"]) == 5


@pytest.mark.parametrize("rules, why", [
    ({"rules": [{"on": "model", "match": {"usr": "x"}}]}, "usr"), ({"rules": [{"match": {}}]}, "\"on\""), ({"rule": []}, "rules"),
    ({"rules": [{"on": "tool", "fault": "sometimes"}]}, "unknown fault"), ({"rules": [{"on": "model", "match": {"user_regex": "("}}]}, "regular"), ("{", "line 1")])
def test_wrong_rules_are_refused(fresh, rules, why):
    answer = fresh.send("POST", "/fakes/rules", rules)
    assert answer.status == 400 and why in answer.json["error"]["message"]


def test_outages(fresh):
    fresh.post("/fakes/faults", {"model:gpt-4o": {"status": 503, "retry_after": 2, "for": "300ms"}, "tool": 500})
    down = fresh.chat("hello")
    assert down.status == 503 and down.headers["retry-after"] == "2"
    assert fresh.chat("hello", model="other").status == 200 and fresh.tool("book", {}).status == 500
    fresh.post("/fakes/faults", {"tool": None})
    assert fresh.tool("book", {}).status == 200
    time.sleep(0.35)
    assert fresh.chat("hello").status == 200
    fresh.post("/fakes/faults", {"model": {"latency": "200ms"}})
    start = time.monotonic()
    assert fresh.chat("hello").status == 200 and time.monotonic() - start >= 0.2
    assert fresh.send("POST", "/fakes/faults", {"modal": 500}).status == 400


def test_requests_are_kept(fresh):
    task = new_task()
    fresh.chat("what I sent", task=task, headers={"X-Agent-Id": "search"})
    [kept] = fresh.get(f"/fakes/requests?prefix={task}/&last=5")["requests"]
    assert kept["headers"]["x-agent-id"] == "search" and kept["body"]["messages"][1]["content"] == "what I sent"
    assert kept["key"] == f"{task}/1/0badcafe" and kept["path"] == "/v1/chat/completions"


def test_reset(fresh):
    fresh.tool("book", {}, "t/1/aaaaaaaa")
    fresh.post("/fakes/faults", {"tool": 500})
    fresh.post("/fakes/reset", {})
    assert fresh.get("/fakes/calls")["calls"] == [] and fresh.tool("book", {}).status == 200


def test_orders_script():
    running = Fakes("--script", str(HERE / "scripts" / "orders.json"))
    try:
        for sku, expected in (("SKU-7", ["check_inventory", "reserve_stock", "create_shipment", "notify_user"]), ("SKU-0", ["check_inventory", "notify_user"])):
            task, results, asked = new_task(), [], []
            while True:
                answer = running.chat(f"Order o-1001: 2 x {sku} to 12 Elm Road, Leeds", task=task, step=len(results) + 1, results=results)
                if not answer.calls:
                    break
                [(name, arguments)] = answer.calls
                asked.append((name, json.loads(arguments)))
                results.append(running.tool(name, json.loads(arguments), f"{task}/{len(results) * 2 + 1}/aaaaaaaa").body.decode())
            assert [name for name, _ in asked] == expected
            assert asked[0][1] == {"sku": sku, "qty": 2} and json.loads(results[0])["in_stock"] == (sku == "SKU-7")
            assert "o-1001" in answer.content and ("12 Elm Road, Leeds" in answer.content) == (sku == "SKU-7")
    finally:
        assert running.stop() == 0


# --- HTTP and processes


def raw(port, *pieces, pause=0.05):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        for piece in pieces:
            s.sendall(piece)
            time.sleep(pause)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := s.recv(65536):
            got += chunk
        return got


def test_http_details(fakes):
    body = b'{"params":{}}'
    head = b"POST /tools/x HTTP/1.1\r\nHost: x\r\n"
    whole = head + b"Content-Length: 13\r\n\r\n" + body
    assert raw(fakes.port, *[whole[i:i + 7] for i in range(0, len(whole), 7)], pause=0.002).startswith(b"HTTP/1.1 200")
    assert raw(fakes.port, whole + whole + whole).count(b"HTTP/1.1 200") == 3
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + body[:5] + b"\r\n8\r\n" + body[5:] + b"\r\n0\r\n\r\n"
    assert raw(fakes.port, chunked[:70], chunked[70:]).startswith(b"HTTP/1.1 200")
    answer = raw(fakes.port, head + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n", body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    assert raw(fakes.port, b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert raw(fakes.port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert raw(fakes.port, b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert raw(fakes.port, b"GET / HTTP/1.1\r\nX: " + b"a" * 70000).startswith(b"HTTP/1.1 431")
    big = json.dumps({"params": {"x": "y" * 3_000_000}}).encode()
    assert raw(fakes.port, head + b"Content-Length: %d\r\n\r\n" % len(big) + big).startswith(b"HTTP/1.1 200")


def test_api_key():
    running = Fakes("--api-key", "sk-1")
    try:
        assert running.chat("x").status == 401 and running.chat("x", headers={"Authorization": "Bearer sk-2"}).status == 401
        assert running.chat("x", headers={"Authorization": "Bearer sk-1"}).status == 200
    finally:
        assert running.stop() == 0


def test_counts_and_switches_hold_over_processes():
    running = Fakes("--processes", "2")
    try:
        def work(i):
            for k in range(40):
                running.tool("book", {"fake": {"fail": "500x3"}}, f"t-{k}/1/aaaaaaaa")

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        calls = running.get("/fakes/calls?prefix=t-")["calls"]
        assert sorted((c["count"], c["answered"], c["effects"]) for c in calls) == [(8, 5, 1)] * 40
        stats = running.get("/fakes/stats")
        assert stats["processes"] == 2 and stats["tool"] == {"calls": 320, "answered": 200, "effects": 40}
        running.post("/fakes/faults", {"tool": 503})
        assert {running.tool("book", {}).status for _ in range(40)} == {503}
        running.post("/fakes/rules", {"rules": [{"on": "model", "answer": {"content": "ruled"}}]})
        assert {running.chat("x").content for _ in range(40)} == {"ruled"}
    finally:
        assert running.stop() == 0


def test_old_keys_are_forgotten_not_new_ones():
    running = Fakes("--calls-memory", "1", "--record", "0")
    try:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        for i in range(4000):
            connection.request("POST", "/tools/book", '{"params":{}}', {"Idempotency-Key": f'"task-{i:05d}/1/aaaaaaaa"'})
            connection.getresponse().read()
        connection.close()
        keys = [c["key"] for c in running.get("/fakes/calls")["calls"]]
        stats = running.get("/fakes/stats")["keys"]
        assert 1000 < len(keys) < 4000 and keys == [f"task-{i:05d}/1/aaaaaaaa" for i in range(4000 - len(keys), 4000)]
        assert stats["known"] == len(keys) and stats["forgotten"] > 0
        assert running.send("GET", "/fakes/requests").status == 409
    finally:
        assert running.stop() == 0


def test_many_connections_wait_at_once():
    wanted = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    running, held = Fakes("--processes", "2", "--model-latency", "2s"), []
    try:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})
        request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        start = time.monotonic()
        for _ in range(wanted):
            held.append(socket.create_connection(("127.0.0.1", running.port), timeout=30))
            held[-1].sendall(request)
        while running.get("/fakes/stats")["connections"]["now"] < wanted:  # the last ones may still be on their way to it
            assert time.monotonic() - start < 10
        for s in held:
            assert s.recv(12) == b"HTTP/1.1 200"
        assert time.monotonic() - start < 10
    finally:
        [s.close() for s in held]
        code = running.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert code == 0


def test_command_line():
    def run(*options):
        return subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=10)

    assert "usage:" in run("--help").stdout and run("--help").returncode == 0
    for options in (["--processes", "0"], ["--model-latency", "5"], ["--nonsense"], ["extra"], ["--listen", "nowhere"]):
        wrong = run(*options)
        assert wrong.returncode == 2 and wrong.stderr
    missing = run("--script", "/nonexistent.json")
    assert missing.returncode == 1 and "/nonexistent.json" in missing.stderr
    running = Fakes()
    taken = run("--listen", f"127.0.0.1:{running.port}")
    assert running.stop() == 0 and taken.returncode == 1 and "cannot listen" in taken.stderr
