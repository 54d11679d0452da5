"""The engine beside our own letters: it holds back while an agent fails, serves other systems' letters, and is one of its name."""
import concurrent.futures
import itertools
import random
import socket
import time

import requests

from letters import produce
from processor import Processor, actions_of, request_job, wait_action
from records import new_task
from test_dlq_redrive import put_letters, sent_letters
from worker import wait_for


def test_nothing_goes_by_itself_while_its_agent_fails(world):
    world.start()
    world.submit(*(new_task("[[fake: steps=1 fail=400]]") for _ in range(12)))
    processor = Processor(world, auto_redrives=2, retry={"after": "1s", "jitter": "100ms"}).engine()
    wait_for("the failures are known", 60, lambda: len(
        processor.api("GET", "/tasks", params={"status": "failed"}).json()["items"]) == 12)
    letter, = put_letters(world, 1, **{"stepmill.class": "exhausted", "stepmill.retryable": "true"})
    planned, held = wait_action(world, "retry_scheduled", 60, count=2, letter=letter)
    assert held["detail"] == "put off: 12 of the agent's last 12 tasks failed" and held["due_at"] > planned["due_at"]
    assert held["due_at"].timestamp() - held["at"].timestamp() >= 600
    assert processor.api("GET", f"/letters?task_id={world.name}-0").json()["items"][0]["status"] == "retry_waiting"
    assert not actions_of(world, "redriven") and processor.metric("stepmill_dlq_retries_held_total") >= 1
    # people may all the same
    wait_action(world, "redriven", 60, letter=letter, job=request_job(world, [letter]))
    processor.stop()


def test_what_falls_due_together_goes_at_the_pace_of_a_job(world):
    exhausted = {"stepmill.class": "exhausted", "stepmill.retryable": "true"}
    week_old = str(int((time.time() - 7 * 86400 - 60) * 1000))  # what was decided about it may be gone from the topic
    old, = put_letters(world, 1, first=40, **exhausted, **{"stepmill.failed_at": week_old})
    put_letters(world, 40, **exhausted)
    processor = Processor(world, auto_redrives=2, retry={"after": "1s", "jitter": "0s"}, redrive={"rate": 10}).engine()
    at = sorted(a["at"].timestamp() for a in wait_action(world, "redriven", 60, count=40, job="auto"))
    assert at[-1] - at[0] >= 2.5, "ten at once, then ten a second"
    assert len(at) == 40 and not actions_of(world, "retry_scheduled", letter=old)
    processor.stop()


def test_letters_of_others_go_back_as_they_were(world):
    """Kafka Connect's: bytes, key and the application's headers stay; what tells of the failure goes."""
    topic = world.topic("orders")
    world.stepmill("topics", "create", config=world.write_config("orders.yaml", topics={"dlq": topic}))
    dead = [("app", b"\xff\0kept"), ("__connect.errors.topic", topic.encode()), ("__connect.errors.partition", b"1"),
            ("__connect.errors.offset", b"77"), ("__connect.errors.exception.class.name", b"java.lang.RuntimeException"),
            ("__connect.errors.exception.message", b"no connection")]
    produce([(world.topic("dlq"), b"order-7", b"\0\1not ours", dead), (world.topic("dlq"), b"order-8", None, [
        (name, b"78" if name.endswith("offset") else value) for name, value in dead])])
    processor = Processor(world).engine()
    ids = [f"{topic}:1:77", f"{topic}:1:78"]
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 2)
    job = request_job(world, ids, canary=1)
    paused, = wait_action(world, "job_paused", job=job)  # how it ends is written nowhere here
    assert paused["name"] == "canary" and "cannot be seen" in paused["reason"] and len(world.reader("orders").all()) == 1
    assert processor.api("POST", f"/redrives/{job}/resume", json={}).status_code == 200
    wait_action(world, "job_finished", job=job)
    records = world.readers["orders"].until(2)
    assert {(r.key, r.value) for r in records} == {(b"order-7", b"\0\1not ours"), (b"order-8", None)}
    for r in records:
        assert dict(r.headers)["app"] == b"\xff\0kept" and r.header("stepmill.job") == job
        assert not [name for name, _ in r.headers if "errors" in name]
    assert {a["letter"] for a in actions_of(world, "redriven", job=job)} == set(ids)
    # nobody will ever tell that it was in vain, save whoever looks at it
    assert processor.api("POST", "/actions", json={"kind": "reopened", "letters": ids[:1]}).status_code == 200
    wait_action(world, "job_finished", job=request_job(world, ids))
    assert len(world.readers["orders"].until(3)) == 3 and len(actions_of(world, "redriven", letter=ids[0])) == 2
    processor.stop()


def test_letters_that_kafka_refuses_do_not_hold_up_the_others(world):
    """A compacted topic takes no record without a key, and its refusal falls on all that go with it."""
    topic = world.topic("definitions")
    dead = [("__connect.errors.topic", topic.encode()), ("__connect.errors.partition", b"1"),
            ("__connect.errors.exception.class.name", b"java.lang.RuntimeException")]
    produce([(world.topic("dlq"), None if n in (1, 4) else b"key-%d" % n, b"value %d" % n, [*dead, ("__connect.errors.offset", b"%d" % n)])
             for n in range(8)])
    processor = Processor(world).engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 8)
    job = request_job(world, [f"{topic}:1:{n}" for n in range(8)])
    finished, = wait_action(world, "job_finished", 120, job=job)
    assert {r.key for r in world.reader("definitions").all() if r.header("stepmill.job") == job} == {b"key-%d" % n for n in (0, 2, 3, 5, 6, 7)}
    assert {c["name"]: c["n"] for c in finished["counts"]}["sent"] == 6, finished
    processor.stop()


def test_of_two_with_one_name_one_is_left(world):
    """The broker fences the producer of one of them: it says so and ends; no decision is lost or made twice."""
    letter, = put_letters(world, 1)
    both = [Processor(world, folder=str(world.folder / f"index-{n}")).engine() for n in range(2)]
    for processor in both:
        wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    accepted = set()
    for number in range(20):
        try:
            answer = both[number % 2].api("POST", "/actions", json={"kind": "noted", "letters": [letter], "note": f"note {number}"})
        except requests.ConnectionError:
            break  # it ended while it was asked
        assert answer.status_code in (200, 202, 503), answer.text
        if answer.status_code != 503:
            accepted.add(f"note {number}")
    ended = wait_for("one of them ends", 20, lambda: next((p for p in both if p.process.poll() is not None), None))
    left, = [p for p in both if p is not ended]
    assert ended.wait() == 1
    line, = ended.lines("dlq.fenced")
    assert line["transactional_id"] == f"stepmill-dlq-{world.name}" and line["action"]
    assert wait_for("the other one goes on", 30, lambda: left.api(
        "POST", "/actions", json={"kind": "parked", "letters": [letter]}).status_code == 200)
    notes = [a["detail"] for a in actions_of(world, "noted")]
    assert accepted <= set(notes) and len(notes) == len(set(notes))
    left.stop()


def test_it_may_be_stopped_while_it_starts(world):
    """Between the writer's beginning and the index's end the alerts were started that the signal had freed."""
    for moment in range(10):
        processor = Processor(world)
        processor.wait_log("kafka.txn.ready")
        time.sleep(moment * 0.025)
        processor.stop()


def keep_asking(port, number):
    """All sorts of questions until nobody answers; returns what is no answer to them."""
    gets = ("/letters?text=answer", "/groups", "/overview?from=1h", "/redrives", "/tasks", "/letters?agent=search", "/events")
    asked = [*(("GET", path, None) for path in gets), ("POST", "/redrives/dry-run", {"filter": {"agent": "search"}}),
             ("POST", "/exports", {"filter": {"agent": "search"}, "format": "csv", "reason": "e2e"})]
    for i in itertools.count(number):
        method, path, body = asked[i % len(asked)]
        try:
            answer = requests.request(method, f"http://127.0.0.1:{port}/api/v1{path}", json=body, timeout=10)
        except requests.RequestException:
            return None
        if answer.status_code not in (200, 503):
            return answer.text


def test_it_may_be_stopped_while_it_works(world, request):
    """Questions, streams, exports, a redrive and an alert that gets no answer are under way each time."""
    rounds = 40 if request.config.getoption("--long") else 4
    count, chance = 100 * rounds, random.Random(world.name)
    ids = put_letters(world, count)
    with socket.create_server(("127.0.0.1", 0)) as silent, concurrent.futures.ThreadPoolExecutor(8) as pool:
        alerts = {"webhook": {"url": f"http://127.0.0.1:{silent.getsockname()[1]}/"}}
        job = request_job(world, filter={"agent": "search"}, rate=80)
        for _ in range(rounds):
            processor = Processor(world, alerts=alerts)
            answers = [pool.submit(keep_asking, processor.port, number) for number in range(8)]
            time.sleep(chance.uniform(0, 1.5))
            processor.stop()
            assert not [text for answer in answers if (text := answer.result(60))]
    processor = Processor(world).engine()
    wait_action(world, "job_finished", 300, job=job)
    assert sent_letters(world) == {i: 1 for i in ids}
    processor.stop()
