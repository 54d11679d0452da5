"""The operator's hand tools against a real Kafka, registry and Redis: topics, lag, offsets, cancel, doctor."""
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from places import KAFKA, STEPMILL
from records import new_task
from worker import wait_for
from world import set_topic

SLOW = "[[fake: tools=look latency@2=60s]]"
QUICK = '[[fake: tools=look answer="looked"]]'


def asked(world, *arguments, expect=0, config=None):
    """What a command says with --json."""
    return json.loads(world.stepmill(*arguments, "--json", expect=expect, config=config).stdout)


def same_partition(world, prompts):
    """Tasks of different sessions that lie in partition 0, in this order."""
    tasks = [new_task(prompt) for prompt in prompts]
    world.submit(*tasks, partition=0)
    return tasks


def topics_now():
    return set(AdminClient({"bootstrap.servers": KAFKA}).list_topics(timeout=20).topics)


# ---- topics


def test_topics_are_made_once_and_as_configured(make_world):
    world = make_world(create=False, agents={"search": {}, "other": {}}, partitions=3)
    names = {world.tasks_topic(), world.tasks_topic("other"),
             *(world.topic(t) for t in ("results", "events", "dlq", "dlq.actions", "definitions"))}
    assert {t["state"] for t in asked(world, "topics", "list", expect=3)} == {"missing"}
    assert {t["state"] for t in asked(world, "topics", "create", "--dry-run")} == {"would be created"}
    assert not names & topics_now(), "a dry run makes nothing"
    made = asked(world, "topics", "create")
    assert {t["topic"] for t in made} == names and {t["state"] for t in made} == {"created"}
    wait_for("the topics are listed", 20, lambda: names <= topics_now())
    again = {t["topic"]: t for t in asked(world, "topics", "create")}
    assert {t["state"] for t in again.values()} == {"exists"}
    days = {name: t["retention_ms"] / 86400000 for name, t in again.items() if t["cleanup_policy"] == "delete"}
    assert days == {world.tasks_topic(): 7, world.tasks_topic("other"): 7, world.topic("results"): 7, world.topic("events"): 30,
                    world.topic("dlq"): 90, world.topic("dlq.actions"): 104}
    assert again[world.topic("definitions")]["cleanup_policy"] == "compact"
    assert {(t["partitions"], t["replication"], t["without_leader"]) for t in again.values()} == {(3, 1, 0)}


def test_topics_that_differ_are_named_and_left_alone(world):
    set_topic(world.topic("dlq"), "retention.ms", "60000")
    set_topic(world.topic("results"), "max.message.bytes", str(16 << 20))
    wait_for("the broker shows it", 20, lambda: "60000" in world.stepmill("topics", "list", expect=None).stdout)
    rows = {t["topic"]: t for t in asked(world, "topics", "create", expect=3)}
    dlq = rows.pop(world.topic("dlq"))
    assert dlq["state"] == "differs" and dlq["what"] == "retention.ms is 60000, should be 7776000000"
    assert f"--topic {world.topic('dlq')} --add-config retention.ms=7776000000" in dlq["fix"]
    assert {t["state"] for t in rows.values()} == {"exists"}, "more than the least is fine"
    assert asked(world, "topics", "create", expect=3)[-3]["retention_ms"] == 60000, "nothing was changed"
    more = world.stepmill("topics", "create", "--partitions", "9", expect=3).stdout
    assert f"{world.partitions} partitions, should be 9" in more and "only while no tasks are open" in more


def test_more_replicas_than_brokers_are_refused_with_the_way_out(make_world):
    world = make_world(create=False)
    done = world.stepmill("topics", "create", "--replication", "99", expect=1)
    assert "replication 99 is wanted, and the cluster has" in done.stdout and "--replication 1" in done.stdout
    assert world.topic("results") not in topics_now()


# ---- lag and offsets


def test_lag_tells_finished_from_unfinished(world):
    same_partition(world, [SLOW, QUICK, QUICK, QUICK])
    lag = asked(world, "lag", "--max", "3", expect=3)
    assert (lag["unfinished"], lag["finished"], lag["members"]) == (4, 0, 0)
    first = lag["partitions"][0]
    assert (first["committed"], first["end"], first["unfinished"], first["member"]) == (None, 4, 4, None)
    assert 0 <= first["age_ms"] == lag["oldest_ms"] < 600000
    assert "nobody reads" in world.stepmill("lag", "--max", "4").stdout
    worker = world.start()

    def three_finished():
        seen = asked(world, "lag")
        return seen if seen["finished"] == 3 else None

    lag = wait_for("three finished above the slow one", 40, three_finished)
    assert (lag["lag"], lag["unfinished"], lag["members"]) == (4, 1, 1)
    assert lag["partitions"][0]["member"]["client_id"] and lag["partitions"][0]["committed"] == 0
    assert world.stepmill("lag", "--max", "1").returncode == 0
    world.stepmill("lag", "--max", "0", expect=3)
    worker.kill()  # it would wait for the slow one


def test_lag_is_watched_until_interrupted(world):
    same_partition(world, [QUICK])
    watch = subprocess.Popen([STEPMILL, "lag", "--watch", "--json", "--config", str(world.config)], stdout=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(watch.stdout.readline())["unfinished"] for _ in range(2)]
    finally:
        watch.terminate()
        watch.communicate(timeout=20)
    assert seen == [1, 1]


def test_offsets_are_not_moved_under_a_worker(world):
    worker = world.start()
    world.one(QUICK)
    done = world.stepmill("offsets", "set", "--agent", "search", "--to", "beginning", expect=1)
    member = asked(world, "lag")["partitions"][0]["member"]
    assert "is in use" in done.stderr and member["id"] in done.stderr and member["host"] in done.stderr
    assert sum(p["committed"] or 0 for p in asked(world, "offsets", "show")) > 0, "nothing was changed"
    worker.stop()


def test_offsets_back_to_the_beginning_run_nothing_twice(world):
    worker = world.start()
    quick = same_partition(world, [SLOW, QUICK, QUICK])[1:]
    wait_for("two finished", 40, lambda: asked(world, "lag")["finished"] == 2)
    wait_for("Redis knows their ends", 20, lambda: all(world.redis.exists(world.key(f"done:{t['task_id']}")) for t in quick))
    before = [world.calls(t) for t in quick]
    worker.kill()
    wait_for("the group is empty", 40, lambda: asked(world, "lag")["members"] == 0)
    shown = asked(world, "offsets", "show", "--agent", "search", "--partition", "0")
    assert [(p["committed"], p["finished_above"]) for p in shown] == [(0, 2)] and shown[0]["metadata"]
    plan = asked(world, "offsets", "set", "--agent", "search", "--partition", "0", "--to", "0", "--dry-run")
    assert plan == [{"topic": world.tasks_topic(), "partition": 0, "from": 0, "to": 0, "skipped": 0, "read_again": 0,
                     "finished_dropped": 2}]
    assert asked(world, "offsets", "show", "--partition", "0")[0]["finished_above"] == 2, "a dry run changes nothing"
    world.stepmill("offsets", "set", "--topic", world.tasks_topic(), "--partition", "0", "--to", "0")
    after = asked(world, "offsets", "show", "--partition", "0")[0]
    assert (after["committed"], after["finished_above"], after["metadata"]) == (0, 0, "")
    worker = world.start()
    wait_for("both are finished again", 40, lambda: asked(world, "lag")["finished"] == 2)
    assert [world.calls(t) for t in quick] == before and all(world.result_of(t) for t in quick), "no call and no result twice"
    worker.kill()  # it would wait for the slow one


def test_offsets_go_where_they_are_told(world):
    same_partition(world, [QUICK, QUICK])
    time.sleep(0.05)
    between = int(time.time() * 1000)
    time.sleep(0.05)
    same_partition(world, [QUICK])

    def go(to, *more, **how):
        return world.stepmill("offsets", "set", "--agent", "search", "--partition", "0", "--to", to, *more, **how)

    def committed():
        return asked(world, "offsets", "show", "--partition", "0")[0]["committed"]

    for to, place in (("latest", 3), ("beginning", 0), ("1", 1), (str(between), 2), ("2100-01-01T00:00:00Z", 3),
                      ("2001-01-01T00:00:00+02:00", 0), ("1h", 0)):
        go(to)
        assert committed() == place, to
    refused = go("4", expect=1).stderr
    assert "holds 0 to 3, not 4" in refused and committed() == 0
    assert "--partition" in world.stepmill("offsets", "set", "--agent", "search", "--to", "1", expect=1).stderr
    assert "none of: latest" in go("soon", expect=2).stderr
    assert "no agent" in world.stepmill("offsets", "show", "--agent", "nobody", expect=1).stderr


def test_an_offset_whose_records_are_gone_is_a_problem(world):
    same_partition(world, [QUICK, QUICK, QUICK])
    world.stepmill("offsets", "set", "--agent", "search", "--partition", "0", "--to", "1")
    admin = AdminClient({"bootstrap.servers": KAFKA})
    for done in admin.delete_records([TopicPartition(world.tasks_topic(), 0, 2)]).values():
        done.result(20)
    shown = asked(world, "offsets", "show", expect=3)[0]
    assert (shown["committed"], shown["beginning"], shown["end"]) == (1, 2, 3) and "are gone" in shown["problem"]
    asked(world, "offsets", "show", "--partition", "0", expect=3)
    assert asked(world, "offsets", "show", "--partition", "1")[0]["problem"] is None, "another partition's problem is not its own"
    assert "are gone" in asked(world, "lag", "--max", "1000", expect=3)["partitions"][0]["problem"], "an alert must not sleep through it"
    problems = findings(asked(world, "doctor", expect=3), "problem", "group")
    assert len(problems) == 1 and "stepmill offsets set" in problems[0]["todo"]
    world.stepmill("offsets", "set", "--agent", "search", "--partition", "0", "--to", "beginning")
    assert asked(world, "offsets", "show")[0]["problem"] is None


# ---- cancel


def test_cancel_stops_a_task_and_knows_when_it_has_ended(world):
    world.start()
    task = new_task('[[fake: steps=20 tools=look latency=300ms]]')
    world.submit(task)
    wait_for("it runs", 30, lambda: world.redis.hlen(world.key(f"checkpoint:{task['task_id']}")) > 1)
    assert asked(world, "cancel", task["task_id"]) == {"task_id": task["task_id"], "cancelled": True, "ended": False}
    assert world.result_of(task)["status"] == "cancelled"
    wait_for("its end is known", 20, lambda: world.redis.exists(world.key(f"done:{task['task_id']}")))
    assert "has ended already" in world.stepmill("cancel", task["task_id"], expect=3).stdout
    assert "task_id is" in world.stepmill("cancel", 'a"b', expect=2).stderr
    down = world.stepmill("cancel", "x", "--set", "redis.url=redis://127.0.0.1:1/0", "--set", "redis.timeout=1s", expect=1)
    assert "redis://127.0.0.1:1/0" in down.stderr


# ---- doctor


class Server:
    """Answers every request with this status, and keeps what was asked."""

    def __init__(self, status, body=b"{}"):
        asked_of = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                asked_of.append((self.command, self.path, self.headers.get("Authorization")))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_OPTIONS = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve():
    made = []

    def start(*arguments):
        made.append(Server(*arguments))
        return made[-1]

    yield start
    for server in made:
        server.close()


def findings(report, verdict, area):
    return [c for c in report["checks"] if (c["verdict"], c["area"]) == (verdict, area)]


def test_doctor_finds_nothing_where_all_is_well_and_calls_no_tool(make_world):
    world = make_world(models={"primary": {"model": "gpt-4o"}})
    world.start()
    done = world.stepmill("doctor", "--json")
    report = json.loads(done.stdout)
    assert report["problems"] == 0, report
    assert {c["area"] for c in report["checks"]} == {"kafka", "topics", "group", "registry", "redis", "models", "tools", "limits"}
    assert len(findings(report, "ok", "topics")) == 6 and len(findings(report, "ok", "registry")) == 3
    assert any("1 member" in c["what"] for c in findings(report, "ok", "group"))
    assert any("transactions" in c["what"] for c in findings(report, "ok", "kafka"))
    assert not world.calls(), "no model and no tool was called"
    assert "a-key-that-no-log-may-show" not in done.stdout + done.stderr


def test_doctor_says_what_is_missing_and_what_to_do(make_world):
    world = make_world(create=False, agents={"search": {"tools": ["look", "lok"]}})
    report = asked(world, "doctor", expect=3)
    assert len(findings(report, "problem", "topics")) == 6
    assert {c["todo"] for c in findings(report, "problem", "topics")} == {"stepmill topics create"}
    registry = findings(report, "problem", "registry")
    assert len(registry) == 3 and all("stepmill schemas register" in c["todo"] for c in registry)
    tool = findings(report, "problem", "tools")
    assert len(tool) == 1 and 'did you mean "look"?' in tool[0]["todo"]
    world.stepmill("topics", "create")
    world.stepmill("schemas", "register")
    set_topic(world.tasks_topic(), "cleanup.policy", "compact")

    def compaction_is_seen():
        return [c for c in findings(asked(world, "doctor", expect=3), "problem", "topics") if "compaction" in c["what"]]

    assert world.tasks_topic() in wait_for("the compacted tasks topic", 20, compaction_is_seen)[0]["what"]


def test_doctor_judges_models_by_their_answer(make_world, serve):
    body = json.dumps({"data": [{"id": "other"}]}).encode()
    refusing, older, wrong, ill = serve(401), serve(404), serve(200, body), serve(500)
    models = {name: {"url": f"{server.url}/v1"} for name, server in
              (("refusing", refusing), ("older", older), ("wrong", wrong), ("ill", ill))}
    world = make_world(models=models | {"absent": {"url": "http://127.0.0.1:1/v1"}})
    report = asked(world, "doctor", expect=3)
    said = {c["what"].split(":")[0]: c for c in report["checks"] if c["area"] == "models"}
    assert {name: c["verdict"] for name, c in said.items()} == {
        "refusing": "problem", "older": "warning", "wrong": "warning", "ill": "problem", "absent": "problem"}
    assert "refuses our key" in said["refusing"]["what"] and "models.refusing.key" in said["refusing"]["todo"]
    assert 'does not list "wrong"' in said["wrong"]["what"]
    assert "no connection" in said["absent"]["what"]
    assert refusing.asked == [("GET", "/v1/models", "Bearer a-key-that-no-log-may-show")]


def test_doctor_asks_tools_for_their_health_only(make_world, serve):
    well, ill, plain = serve(200), serve(503), serve(404)
    world = make_world(tools={"look": {"endpoint": f"{well.url}/do", "health_url": f"{well.url}/health"},
                              "ill": {"endpoint": f"{ill.url}/do", "health_url": f"{ill.url}/health"},
                              "plain": {"endpoint": f"{plain.url}/do"},
                              "absent": {"endpoint": "http://127.0.0.1:1/do"}})
    report = asked(world, "doctor", expect=3)
    assert {c["what"].split(":")[0] for c in findings(report, "problem", "tools")} == {"ill", "absent"}
    assert [s.asked for s in (well, ill, plain)] == [[("GET", "/health", None)], [("GET", "/health", None)], [("OPTIONS", "/", None)]]


def test_doctor_goes_on_when_everything_is_down(make_world):
    world = make_world(create=False)
    config = world.write_config("down.yaml", kafka={"bootstrap.servers": "127.0.0.1:1"}, schema_registry={"url": "http://127.0.0.1:1"},
                                redis={"url": "redis://127.0.0.1:1/0", "timeout": "1s"}, models={"primary": {"url": "http://127.0.0.1:1/v1"}})
    report = asked(world, "doctor", expect=3, config=config)
    assert {c["area"] for c in report["checks"] if c["verdict"] == "problem"} == {"kafka", "registry", "redis", "models"}
    assert all(c["todo"] for c in report["checks"] if c["verdict"] == "problem")


# ---- all of them


@pytest.mark.parametrize("command", ["topics", "lag", "offsets", "cancel", "doctor"])
def test_help_has_flags_and_two_examples(command):
    done = subprocess.run([STEPMILL, command, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "--config FILE" in done.stdout
    examples = done.stdout.split("examples:")[1].strip().splitlines()
    assert len(examples) >= 2 and all(line.strip().startswith("stepmill ") for line in examples)


@pytest.mark.parametrize("command", [["topics", "create"], ["topics", "list"], ["lag"], ["offsets", "show"], ["tail", "results"]])
def test_no_broker_is_said_within_seconds(make_world, command):
    world = make_world(create=False)
    config = world.write_config("down.yaml", kafka={"bootstrap.servers": "127.0.0.1:1"})
    began = time.monotonic()
    done = world.stepmill(*command, expect=1, config=config)
    assert "127.0.0.1:1" in done.stderr and "stepmill doctor" in done.stderr and not done.stdout
    assert "topics create" not in done.stderr, "a missing topic is another trouble"
    assert time.monotonic() - began < 25
