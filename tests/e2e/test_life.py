"""A worker's life: drain, a second signal, two that share the work, a rolling restart, probes and metrics."""
import json
import re
import signal
import time

import pytest
import requests
from confluent_kafka.admin import AdminClient

from places import KAFKA, TIME_FACTOR
from proof import check_history
from records import new_task
from worker import wait_for


def members(world):
    """Of the consumer group, as the broker knows them."""
    admin = AdminClient({"bootstrap.servers": KAFKA})
    return len(admin.describe_consumer_groups([world.name])[world.name].result(20).members)


def has_cells(world, task, count=1):
    return world.redis.hlen(world.key(f"checkpoint:{task['task_id']}")) >= count


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_leaves_at_once(world, number):
    worker = world.start()
    assert members(world) == 1
    begin = time.monotonic()
    worker.signal(number)
    assert worker.wait() == 0
    assert members(world) == 0, "the group need not wait for its session to end"
    if TIME_FACTOR == 1:
        assert time.monotonic() - begin < 3
    assert worker.lines("kafka.group.left")


def test_drain_finishes_what_runs_and_begins_nothing_new(world):
    worker = world.start()
    running = [new_task("[[fake: steps=2 tools=look latency=1s]]") for _ in range(20)]
    world.submit(*running)
    wait_for("all run", 20, lambda: all(world.calls(t) for t in running))
    worker.signal(signal.SIGTERM)
    wait_for("draining", 10, lambda: worker.get("/readyz")[0] == 503)
    assert worker.get("/livez")[0] == 200
    later = [new_task("[[fake: steps=1]]") for _ in range(5)]
    world.submit(*later)
    assert worker.wait() == 0
    assert {r.data["task_id"] for r in world.results.all()} == {t["task_id"] for t in running}
    assert not any(world.calls(t) for t in later)
    world.start()
    for task in running + later:
        assert world.result_of(task)["status"] == "completed"
    assert {c["count"] for t in running for c in world.calls(t)} == {1}


def test_drain_gives_a_long_task_up_to_the_next_worker(make_world):
    world = make_world(worker={"drain_timeout": "8s"})
    worker = world.start()
    task = new_task("[[fake: steps=3 tools=look latency@3=60s]]")
    world.submit(task)
    wait_for("the third call", 20, lambda: len(world.calls(task)) == 5)
    begin = time.monotonic()
    worker.stop()
    took = time.monotonic() - begin
    if TIME_FACTOR == 1:
        assert took < 11, "drain_timeout holds"
    assert members(world) == 0
    assert not world.results.all()
    before = {c["key"]: c["count"] for c in world.calls(task)}
    world.fakes.post("/fakes/faults", {"model": {"latency": "0ms"}})
    world.start()
    result = world.result_of(task)
    check_history(world.history_of(task), result)
    after = {c["key"]: c["count"] for c in world.calls(task)}
    assert set(after) == set(before) and sum(after.values()) == sum(before.values()) + 1


def test_drain_does_not_wait_for_an_outage_to_end(world):
    """What waits for a model, and has nothing unsaved, goes on with the next worker."""
    worker = world.start()
    world.fakes.post("/fakes/faults", {"model": "401"})
    tasks = [new_task("[[fake: steps=1]]") for _ in range(5)]
    world.submit(*tasks)
    wait_for("all wait", 20, lambda: worker.metric("stepmill_tasks", state="waiting") == len(tasks))
    begin = time.monotonic()
    worker.stop()
    if TIME_FACTOR == 1:
        assert time.monotonic() - begin < 5
    world.fakes.post("/fakes/faults", {"model": None})
    world.start()
    for task in tasks:
        assert world.result_of(task)["status"] == "completed"


def test_a_second_signal_means_now(world):
    worker = world.start()
    task = new_task("[[fake: steps=1 latency=60s]]")
    world.submit(task)
    wait_for("the call", 20, lambda: world.calls(task))
    worker.signal(signal.SIGTERM)
    worker.wait_log("worker.draining")
    begin = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    if TIME_FACTOR == 1:
        assert time.monotonic() - begin < 3
    assert worker.lines("worker.stopped_now")


def test_two_workers_share_the_partitions_under_names_of_their_own(world):
    workers = [world.start(), world.start()]
    wait_for("two each", 40, lambda: [w.metric("stepmill_partitions_owned") for w in workers] == [2, 2])
    assert len({w.lines("worker.start")[0]["transactional_id"] for w in workers}) == 2
    tasks = [new_task("[[fake: steps=1]]") for _ in range(60)]
    world.run(*tasks)
    counts = [wait_for("its share", 10, lambda w=w: w.metric("agent_tasks_total", status="completed")) for w in workers]
    assert sum(counts) == 60


def test_a_rolling_restart_under_load_pays_nothing_twice(world):
    """One after the other is stopped and started again while tasks come in; what runs is finished or handed over whole."""
    workers = [world.start(), world.start()]
    tasks = []
    for n in range(8):
        for _ in range(4):
            batch = [new_task("[[fake: steps=2 tools=look latency=200ms]]", session=f"s-{i}") for i in range(10)]
            world.submit(*batch)
            tasks += batch
            time.sleep(0.1)
        if n % 3 == 1:
            workers[n % 2].stop()
            workers[n % 2] = world.start(ready=False)
    world.results.until(len(tasks), 90)
    world.settled()
    assert sorted(r.data["task_id"] for r in world.results.all()) == sorted(t["task_id"] for t in tasks)
    again = [c for c in world.calls() if c["count"] > 1]
    assert not again, "a call was made twice although nobody died"


def test_probes_say_what_is_well(world):
    worker = world.start()
    for path in ("/livez", "/health"):
        status, text = worker.get(path)
        assert (status, json.loads(text)) == (200, {"status": "alive"})
    for path in ("/readyz", "/ready"):  # between joining and the partitions that come with it, it is unready for an instant
        status, text = wait_for(path, 5, lambda path=path: (answer := worker.get(path))[0] == 200 and answer)
        detail = json.loads(text)
        assert (status, detail["status"]) == (200, "ready")
        assert all(detail["dependencies"][name]["ok"] for name in ("kafka", "redis", "schema_registry"))
        assert detail["models"] == {"primary": {"ok": True}}
    base = f"http://127.0.0.1:{worker.port}"
    assert requests.get(f"{base}/nothing", timeout=5).status_code == 404
    assert requests.post(f"{base}/livez", data="x", timeout=5).status_code == 405
    assert requests.get(f"{base}/metrics", timeout=5).headers["Content-Type"].startswith("text/plain; version=0.0.4")


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\n"])*",?)*)\})? (\S+)')


def parse_metrics(text):
    """As a Prometheus server reads them: (family → type, [(name, labels, value)]); fails where it would."""
    types, samples, current = {}, [], None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current not in types, f"{current} twice"
            types[current] = kind
        elif not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            family = re.sub("_(bucket|sum|count)$", "", name) if types[current] == "histogram" else name
            assert family == current, f"{name} stands under {current}"
            samples.append((name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")), float(value)))
    assert len({(n, tuple(sorted(labels.items()))) for n, labels, _ in samples}) == len(samples), "a sample stands twice"
    return types, samples


def check_histograms(types, samples):
    for family in (f for f, kind in types.items() if kind == "histogram"):
        series = {}
        for name, labels, value in samples:
            if name == f"{family}_bucket":
                rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
                series.setdefault(rest, []).append((float(labels["le"]), value))
        for rest, buckets in series.items():
            assert [b[1] for b in sorted(buckets)] == sorted(b[1] for b in buckets), "buckets are cumulative"
            count = [v for n, labels, v in samples if n == f"{family}_count" and tuple(sorted(labels.items())) == rest]
            assert count == [max(buckets)[1]], "+Inf holds all"


def test_metrics_are_what_prometheus_reads_and_count_what_happened(world):
    worker = world.start()
    world.run(*[new_task("[[fake: tools=look tokens=100+50]]") for _ in range(3)], new_task("[[fake: fail=400]]"),
              new_task("[[fake: tools=look+nothere tokens=10+5]]"))
    world.settled()
    types, samples = parse_metrics(worker.get("/metrics")[1])
    check_histograms(types, samples)
    assert all(name.endswith("_total") for name, kind in types.items() if kind == "counter")

    def value(name, **labels):
        return sum(v for n, found, v in samples if n == name and labels.items() <= found.items())

    assert value("agent_tasks_total", agent_id="search", status="completed") == 4
    assert value("agent_tasks_total", agent_id="search", status="failed") == 1
    assert value("agent_llm_tokens_total", agent_id="search", token_type="prompt") == 3 * 200 + 20
    assert value("agent_llm_tokens_total", agent_id="search", token_type="completion") == 3 * 100 + 10
    assert value("agent_tool_calls_total", tool_name="look", status="ok") == 4
    assert value("agent_tool_calls_total", status="refused") == 1
    assert value("agent_task_duration_seconds_count", agent_id="search") == 5
    assert value("agent_steps_per_task_bucket", agent_id="search", le="2") == 5
    assert value("stepmill_dead_letters_total") == 1
    bounds = {float(labels["le"]) for n, labels, _ in samples if n == "agent_task_duration_seconds_bucket"}
    assert bounds == {0.5, 1, 2, 5, 10, 30, 60, 120, float("inf")}
    assert value("stepmill_loop_slow_turns") == 0 or TIME_FACTOR > 1


def test_the_log_is_json_lines_with_the_promised_names(world):
    worker = world.start()
    task, result = world.one("[[fake: tools=look tokens=10+5]]")
    line = worker.wait_log("agent.task.completed", task_id=task["task_id"])[0]
    assert (line["agent_id"], line["status"], line["steps"], line["tokens"], line["tool_calls"]) == ("search", "completed", 2, 30, 1)
    assert line["trace_id"] == world.history_of(task)[0].data["trace_id"]
    for text in worker.text.splitlines():
        entry = json.loads(text)
        assert {"time", "level", "event", "role"} <= entry.keys()
        assert task["prompt"] not in text, "no content of the user in logs"
