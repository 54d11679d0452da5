"""The review API on the real stack: what people see of dead letters, and what they do with them."""
import base64
import concurrent.futures
import csv
import io
import itertools
import json
import re

import pytest
import requests

from letters import index, letter_headers, produce
from processor import Processor, actions_of
from records import new_task
from test_dlq_redrive import put_letters
from worker import wait_for

numbers = itertools.count(0, 100)  # letters of each test have numbers of their own


@pytest.fixture(scope="module")
def place(make_shared_world):
    world = make_shared_world(models={"primary": {"price": {"prompt": 2.5, "completion": 10}}})
    world.start()
    return Processor(world, value_max="2KiB", trace_url="https://traces.example/{trace_id}").engine()


def put(place, count, **headers):
    """Letters that the index knows; returns their ids."""
    ids = put_letters(place.world, count, first=next(numbers), **{"stepmill.fingerprint": "", **headers})
    wait_known(place, ids)
    return ids


def wait_known(place, ids):
    wait_for("the letters are known", 60, lambda: all(
        index(place, "SELECT 1 FROM letters WHERE id = ?", i) for i in ids))


def get(place, path, expect=200, **params):
    return checked(place.api("GET", path, params=params), expect)


def post(place, path, expect=200, key=None, **body):
    return checked(place.api("POST", path, json=body, headers={"Idempotency-Key": key} if key else {}), expect)


def checked(answer, status):
    assert answer.status_code == status, answer.text
    if status < 400:
        return answer.json()
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code"} and problem["status"] == status and problem["detail"]
    return problem


def letter_of(place, letter):
    return get(place, f"/letters/{requests.utils.quote(letter, safe='')}")["letter"]


def job_until(place, job, state):
    return wait_for(f"job {state}", 60, lambda: (found := get(place, f"/redrives/{job}"))["state"] == state and found)


# ---- what is seen


def test_pages_hold_while_letters_come_and_go(place):
    ids = put(place, 25, **{"stepmill.code": "of_pages"})
    seen, cursor = [], None
    for page in range(9):
        found = get(place, "/letters", code="of_pages", limit=4, count=100, **({"cursor": cursor} if cursor else {}))
        seen += [letter["id"] for letter in found["items"]]
        if not (cursor := found["next"]):
            break
        assert found["total"] == 25 + page and not found["total_is_more"]
        put(place, 1, **{"stepmill.code": "of_pages"})  # newer than all that is still to come
        post(place, "/actions", kind="discarded", letters=[ids[-1 - 4 * page]], reason="it is gone from under the page")
    assert sorted(seen) == sorted(ids), "each once, none left out"
    assert seen == [row[0] for row in index(place, "SELECT id FROM letters WHERE code = 'of_pages' ORDER BY num DESC")][-25:]
    oldest = get(place, "/letters", code="of_pages", order="oldest", limit=1, count=5)
    assert oldest["items"][0]["id"] == seen[-1] and (oldest["total"], oldest["total_is_more"]) == (5, True)


def test_each_filter_finds_its_letters(place):
    world, number = place.world, 7_000_000
    other = world.tasks_topic("orders")
    mine = letter_headers(world, number, task="t-filter", agent="orders", klass="poison", code="of_filters", message="the saffron ran out\u2014na\u00efve \u00d7 K\u00e4se\u00b8",
                          failed_at=1700000000000)
    produce([(world.topic("dlq"), b"s-filter", b"plain text", [*mine, ("stepmill.session_id", b"s-filter")])])
    letter = f"{other}:0:{number}"
    wait_known(place, [letter])
    group = letter_of(place, letter)["group"]
    for name, value in {"topic": other, "agent": "orders", "class": "poison", "code": "of_filters", "group": group, "task_id": "t-filter",
                        "text": "saffr out\u2014naive\u00d7k\u00e4s \u00b8", "to": "2023-11-15T00:00:00Z", "session_id": "s-filter"}.items():
        assert [found["id"] for found in get(place, "/letters", **{name: value})["items"]] == [letter], name
    assert get(place, "/letters", code="of_filters", dlq_topic=world.topic("dlq"), stage="model", status=["open", "parked"], family="stepmill",
               **{"from": 1700000000000})["items"]
    for miss in ({"status": "parked"}, {"from": 1700000000001}, {"to": 1700000000000}, {"family": "connect"}, {"text": "saffron rice"}, {"text": "out\u2014rice"},
                 {"assigned": "ann"}, {"job": "j"}, {"stage": "tool"}):
        assert get(place, "/letters", code="of_filters", **miss)["items"] == [], miss


def test_a_letter_with_its_bytes(place):
    world = place.world
    small, = put(place, 1, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    large, = put_letters(world, 1, prompt="z" * 5000, first=next(numbers))
    wait_known(place, [large])
    path = f"/letters/{requests.utils.quote(small, safe='')}"
    found = get(place, path)
    assert found["value"]["form"] == "json" and found["value"]["json"]["prompt"] == "Do it." and found["value"]["schema_id"]
    assert {"name": "mine", "value": "kept"} in found["headers"] and found["trace_url"] == f"https://traces.example/{'a' * 32}"
    value = place.api("GET", path + "/value")
    assert value.content == base64.b64decode(found["value"]["base64"]) and value.headers["Content-Type"] == "application/octet-stream"
    assert found["key"]["form"] == "text" and found["letter"]["session_id"] == found["key"]["text"]
    path = f"/letters/{requests.utils.quote(large, safe='')}"
    assert get(place, path)["value"]["form"] == "omitted"
    bytes_of_it = place.api("GET", path + "/value").content
    assert bytes_of_it == next(r.value for r in world.dlq.all() if r.header("stepmill.id") == large), "fetched from its topic"


def test_groups_and_the_overview(place):
    ids = put(place, 3, **{"__dlq.errors.message": "the kettle number 7 is cold", "stepmill.code": "of_groups"})
    group = letter_of(place, ids[0])["group"]
    found = get(place, f"/groups/{group}")
    assert (found["letters"], found["unfinished"], found["by_status"]["open"]) == (3, 3, 3)
    assert found["example"] in ids and found["agents"] == [{"name": "search", "n": 3}]
    assert group in [g["fingerprint"] for g in get(place, "/groups", text="kettle", unfinished="true", order="first")["items"]]
    post(place, "/actions", kind="assigned", group=group, assignee="ann")
    post(place, "/actions", kind="group_resolved", group=group)
    found = get(place, f"/groups/{group}")
    assert found["assigned"] == "ann" and found["resolved"] and found["resolved_at"]
    put(place, 1, **{"__dlq.errors.message": "the kettle number 8 is cold", "stepmill.code": "of_groups",
                     "stepmill.failed_at": "4102444800000"})
    assert get(place, f"/groups/{group}")["returned_at"]
    overview = get(place, "/overview", **{"from": "1h"})
    assert overview["letters"] == index(place, "SELECT count(*) FROM letters")[0][0] and len(overview["points"]) > 10
    assert get(place, "/groups/0123", 404)["code"] == "not_found"


def test_the_view_of_a_task(place):
    task = new_task("[[fake: steps=3 tools=look fail@3=400]]")
    place.world.submit(task)
    wait_for("the task has failed", 60, lambda: get(place, "/tasks", task_id=task["task_id"], status="failed")["items"])
    view = wait_for("its letter", 30, lambda: (v := get(place, f"/tasks/{task['task_id']}"))["letters"] and v)
    assert [s["kind"] for s in view["steps"]] == ["TaskStarted", "ModelAnswered", "ToolAnswered", "ModelAnswered", "ToolAnswered", "TaskFailed"]
    assert view["steps"][1]["prompt_tokens"] > 0 and view["task"]["tool_calls"] == 2 and view["task"]["prompt"] == task["prompt"]
    assert [s["cost_usd"] for s in view["steps"]] == [None, *(
        pytest.approx((s["prompt_tokens"] * 2.5 + s["completion_tokens"] * 10) / 1e6) if s["kind"] == "ModelAnswered" else None
        for s in view["steps"][1:])], "at the configuration's prices"
    assert 0 < view["cost_usd"] == pytest.approx(sum(s["cost_usd"] or 0 for s in view["steps"]))
    assert get(place, "/tasks", session_id=task["session_id"])["items"][0]["task_id"] == task["task_id"]
    assert get(place, "/tasks/no-such-task", 404)["code"] == "not_found"


def test_what_happens_is_told_at_once(place):
    with requests.get(f"http://127.0.0.1:{place.port}/api/v1/events", stream=True, timeout=30) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream" and stream.headers["Cache-Control"] == "no-store"
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)

        def event(name, wanted):
            for line in lines:
                if line == f"event: {name}":
                    data = json.loads(next(lines).removeprefix("data: "))
                    if wanted(data):
                        return data

        assert event("hello", lambda data: True) == {}
        letter, = put(place, 1)
        assert event("letters", lambda data: data["newest"] == letter)["n"] == 1
        done = post(place, "/actions", kind="acknowledged", letters=[letter])
        told = event("actions", lambda data: letter in [a["letter"] for a in data["actions"]])
        assert told["actions"][0]["id"] == done["actions"][0]["id"] and not told["more"]
        place.world.submit(new_task())
        assert event("tasks", lambda data: True) == {}
    wait_for("the stream is let go", 20, lambda: place.metric("stepmill_dlq_api_watching") == 0)


# ---- what is done


def test_what_people_do_with_letters(place):
    one, two, three = put(place, 3)
    for kind, more, status in (("acknowledged", {}, "acknowledged"), ("noted", {"note": "seen by me"}, "acknowledged"),
                               ("assigned", {"assignee": "ann"}, "acknowledged"), ("parked", {"reason": "wait"}, "parked"),
                               ("unparked", {}, "open"), ("discarded", {"reason": "a test"}, "discarded"), ("reopened", {}, "open")):
        done = post(place, "/actions", kind=kind, letters=[one], **more)
        assert done["folded"] and [a["letter"] for a in done["actions"]] == [one]
        assert letter_of(place, one)["status"] == status, kind
    letter = letter_of(place, one)
    assert (letter["assigned"], letter["notes"]) == ("ann", 1)
    history = get(place, "/actions", letter=one, order="oldest")["items"]
    assert [a["kind"] for a in history] == ["acknowledged", "noted", "assigned", "parked", "unparked", "discarded", "reopened"]
    assert history[5]["reason"] == "a test" and history[1]["detail"]["detail"] == "seen by me" and history[0]["actor"] == "anonymous"

    assert post(place, "/actions", 422, kind="discarded", letters=[two])["code"] == "bad_action"
    assert post(place, "/actions", 409, kind="unparked", letters=[one, two])["code"] == "wrong_status"
    assert post(place, "/actions", 404, kind="parked", letters=[two, "no:0:1"])["code"] == "unknown_letter"
    assert letter_of(place, two)["status"] == "open", "nothing is done by halves"
    assert post(place, "/actions", kind="parked", letters=[two, three])["folded"]
    assert {letter_of(place, i)["status"] for i in (two, three)} == {"parked"}


def test_a_key_stands_for_one_request(place):
    ids = put(place, 4, **{"__dlq.errors.message": "spoon bent", "stepmill.code": "of_keys"})
    group = letter_of(place, ids[0])["group"]
    body = {"kind": "discarded", "letters": ids[:1], "reason": "once"}
    first = post(place, "/actions", key="the-key-1", **body)
    assert post(place, "/actions", key="the-key-1", **body) == first
    assert post(place, "/actions", 422, key="the-key-1", **{**body, "reason": "twice"})["code"] == "key_reused"
    assert post(place, "/redrives", 422, key="the-key-1", letters=ids[:1], reason="x")["code"] == "key_reused"
    assert post(place, "/actions", 400, key="short", **body)["code"] == "bad_key"
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        crowd = list(pool.map(lambda _: place.api("POST", "/actions", json={**body, "letters": ids[3:]}, headers={"Idempotency-Key": "the-key-5"}),
                              range(6)))
    assert {a.status_code for a in crowd} <= {200, 409} and 200 in {a.status_code for a in crowd}
    assert {a.json()["code"] for a in crowd if a.status_code == 409} <= {"key_in_use"}
    assert len(actions_of(place.world, "discarded", letter=ids[3])) == 1
    whole = post(place, "/actions", key="the-key-2", kind="parked", group=group)
    assert len(whole["actions"]) == 2
    put(place, 1, **{"__dlq.errors.message": "spoon bent", "stepmill.code": "of_keys"})
    assert post(place, "/actions", key="the-key-2", kind="parked", group=group) == whole, "the letter that came since is not touched"
    assert len(actions_of(place.world, "discarded", letter=ids[0])) == 1
    job = post(place, "/redrives", key="the-key-3", letters=ids[1:2], reason="x")
    assert post(place, "/redrives", key="the-key-3", letters=ids[1:2], reason="x")["id"] == job["id"]
    job_until(place, job["id"], "finished")
    assert post(place, f"/redrives/{job['id']}/cancel", 409, key="the-key-4")["code"] == "wrong_state"


def test_a_redrive_is_tried_asked_for_and_followed(place):
    world, ids = place.world, put(place, 6, **{"__dlq.errors.message": "no flour", "stepmill.code": "of_redrives"})
    foreign = [("__connect.errors.topic", world.topic("not-there").encode()), ("__connect.errors.partition", b"0"),
               ("__connect.errors.offset", b"9")]
    produce([(world.topic("dlq"), b"k", b"v", foreign)])
    lost = f"{world.topic('not-there')}:0:9"
    wait_known(place, [lost])
    post(place, "/actions", kind="parked", letters=ids[:1])
    tried = post(place, "/redrives/dry-run", letters=[*ids, lost, "no:0:1"], from_start=True)
    assert (tried["selected"], tried["eligible"], tried["more"]) == (8, 5, False)
    assert {x["reason"]: (x["n"], x["example"]) for x in tried["ineligible"]} == {
        "parked": (1, ids[0]), "no_topic": (1, lost), "unknown_letter": (1, "no:0:1")}
    assert not get(place, "/redrives", unended="true")["items"]

    job = post(place, "/redrives", letters=[*ids[:3], lost], reason="flour has come")["id"]
    ended = job_until(place, job, "finished")
    assert (ended["selected"], ended["sent"], ended["reason"]) == (3, 2, "flour has come")
    skipped, = actions_of(world, "skipped", job=job)
    assert (skipped["letter"], skipped["name"]) == (lost, "no_topic")
    assert sorted(get(place, f"/redrives/{job}/letters")["items"]) == sorted([*ids[1:3], lost])
    wait_for("its tasks have completed", 60, lambda: get(place, f"/redrives/{job}")["completed"] == 2)
    assert letter_of(place, ids[1])["status"] == "resolved"

    job = post(place, "/redrives", filter={"code": "of_redrives", "status": ["open"]}, cap=2, reason="two of them")["id"]
    assert job_until(place, job, "finished")["sent"] == 2
    job = post(place, "/redrives", group=letter_of(place, ids[0])["group"], reason="the rest")["id"]
    assert job_until(place, job, "finished")["sent"] == 1
    sent = [r.header("stepmill.letter") for r in world.reader("tasks.search").all()]
    assert sorted(i for i in sent if i in ids) == sorted(ids[1:]), "each once, the parked one not at all"


def test_a_job_is_paused_resumed_and_cancelled(place):
    ids = put(place, 30)
    job = post(place, "/redrives", letters=ids, rate=5, canary=3, reason="slowly")["id"]
    wait_for("the canary is sent", 30, lambda: get(place, f"/redrives/{job}")["sent"] >= 3)
    assert post(place, f"/redrives/{job}/pause", reason="wait a moment")["job"]["state"] == "paused"
    stood = get(place, f"/redrives/{job}")["sent"]
    assert stood < 30 and len(get(place, f"/redrives/{job}/letters", unsent="true", limit=200)["items"]) == 30 - stood
    assert post(place, f"/redrives/{job}/resume")["job"]["state"] == "running"
    wait_for("it goes on", 30, lambda: stood < get(place, f"/redrives/{job}")["sent"] < 30)
    assert post(place, f"/redrives/{job}/cancel", reason="enough")["job"]["state"] == "cancelled"
    stood = get(place, f"/redrives/{job}")["sent"]
    assert post(place, f"/redrives/{job}/resume", 409)["code"] == "wrong_state"
    assert post(place, "/redrives/no-such-job/pause", 404)["code"] == "not_found"
    assert [a["kind"] for a in get(place, "/actions", job=job, order="oldest")["items"] if a["kind"] != "redriven"] == [
        "job_requested", "job_selected", "job_paused", "job_resumed", "job_cancelled"]
    assert get(place, f"/redrives/{job}")["sent"] == stood < 30
    free = [i for i in ids if letter_of(place, i)["status"] == "open"]
    assert len(free) == 30 - stood, "those that were not sent are free again"


def test_an_edited_copy_goes_as_a_new_task(place):
    world, (letter,) = place.world, put(place, 1)
    path = f"/letters/{requests.utils.quote(letter, safe='')}"
    before = get(place, path)
    value = {**before["value"]["json"], "prompt": '[[fake: steps=1 answer="mended"]]'}
    old = value.pop("task_id")
    assert "max_steps" in post(place, path + "/edit", 422, value={**value, "max_steps": "many"}, reason="typo")["detail"]
    assert "colour" in post(place, path + "/edit", 422, value={**value, "colour": "red"}, reason="typo")["detail"]
    assert post(place, path + "/edit", 422, value={**value, "target_agent": "nobody"}, reason="typo")["detail"]
    assert post(place, path + "/edit", 400, value=value)["detail"] == "Member reason is missing."
    assert post(place, "/letters/no%3A0%3A1/edit", 404, value=value, reason="typo")["code"] == "unknown_letter"
    done = post(place, path + "/edit", key="edit-once", value=value, reason="typo")
    assert post(place, path + "/edit", key="edit-once", value=value, reason="typo") == done
    assert world.result_of(done["task_id"], 60)["output"] == "mended"
    record, = [r for r in world.reader("tasks.search").all() if r.data["task_id"] == done["task_id"]]
    assert record.data["parent_task_id"] == old != done["task_id"]
    after = get(place, path)
    assert after["value"] == before["value"] and after["letter"]["status"] in ("redriven", "resolved"), "the original is kept"


# ---- what is taken away, and what is refused


def test_letters_leave_as_lines_and_as_a_table(place):
    put(place, 3, **{"stepmill.code": "of_exports", "__dlq.errors.message": '=HYPERLINK("http://evil") is what it said'})
    listed = get(place, "/letters", code="of_exports")["items"]
    answer = place.api("POST", "/exports", json={"format": "jsonl", "filter": {"code": "of_exports"}, "reason": "audit"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["Content-Type"] == "application/x-ndjson" and "attachment" in answer.headers["Content-Disposition"]
    assert [{k: v for k, v in line.items() if k != "value_base64"} for line in lines] == listed
    assert all(base64.b64decode(line["value_base64"])[0] == 0 for line in lines)
    answer = place.api("POST", "/exports", json={"format": "csv", "filter": {"code": "of_exports"}, "cap": 2})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["Content-Type"] == "text/csv" and [row["id"] for row in rows] == [letter["id"] for letter in listed[:2]]
    assert rows[0]["message"] == "'" + listed[0]["message"], "a spreadsheet must not run it"
    recorded = actions_of(place.world, "exported")
    assert {(a["name"], a["reason"], a["cap"]) for a in recorded} == {("jsonl", "audit", 100000), ("csv", "", 2)}


WRONG = [("GET", "/letters?colour=red", None, 400, "bad_parameter"), ("GET", "/letters?limit=0", None, 400, "bad_parameter"),
         ("GET", "/letters?limit=1&limit=2", None, 400, "bad_parameter"), ("GET", "/letters?cursor=x", None, 400, "bad_parameter"),
         ("GET", "/letters?from=yesterday", None, 400, "bad_parameter"),
         ("GET", "/letters?agent=%ff", None, 400, "bad_parameter"), ("GET", "/letters?text=%22-%22", None, 422, "bad_query"),
         ("GET", "/letters?text=%C2%B8%E2%80%94", None, 422, "bad_query"), ("GET", "/letters/no:0:1", None, 404, "not_found"), ("GET", "/nothing", None, 404, "not_found"),
         ("GET", "/overview?from=1h&to=2h", None, 422, "bad_range"), ("POST", "/actions", b"[]", 400, "bad_body"),
         ("POST", "/actions", b"{", 400, "bad_body"), ("POST", "/actions", b'{"kind": "noted", "kind": "noted"}', 400, "bad_body"),
         ("POST", "/actions", b'{"kind": "eaten", "letters": ["a"]}', 400, "bad_body"), ("POST", "/actions", b'{"kind": "parked"}', 400, "bad_body"),
         ("POST", "/actions", b'{"kind": "parked", "letters": ["a", "a"]}', 400, "bad_body"),
         ("POST", "/redrives", b'{"letters": ["a"]}', 400, "bad_body"), ("POST", "/redrives", b'{"filter": {"x": "y"}, "reason": "r"}', 400, "bad_body"),
         ("POST", "/redrives", b'{"letters": ["a"], "group": "b", "reason": "r"}', 400, "bad_body"),
         ("POST", "/exports", b'{"format": "pdf"}', 400, "bad_body"), ("POST", "/exports", b"\xff", 400, "bad_body")]


@pytest.mark.parametrize("method, path, body, status, code", WRONG, ids=lambda value: re.sub("[^a-z0-9]+", "-", str(value))[:24])
def test_what_is_wrong_is_said(place, method, path, body, status, code):
    answer = place.api(method, path, data=body, headers={"Content-Type": "application/json"} if body else {})
    assert checked(answer, status)["code"] == code
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_body_that_is_no_json_or_too_large(place):
    assert checked(place.api("POST", "/actions", data=b"kind=noted"), 415)["code"] == "content_type"
    assert checked(place.api("POST", "/actions", data=b"{}", headers={"Content-Type": "text/plain"}), 415)["code"] == "content_type"
    assert place.api("POST", "/actions", data=b" " * (8 * 1024 * 1024 + 1), headers={"Content-Type": "application/json"}).status_code == 413
