"""What is missing at start is said every few seconds, named by /readyz, and waited for; what is wrong in the config is refused."""
import calendar
import json
import os
import pathlib
import signal
import time

import pytest

from places import KAFKA, REDIS, REGISTRY
from records import new_task
from services import Proxy, address_of, free_port
from worker import wait_for

EVERY = 6.5  # "every few seconds"


def behind_a_proxy(kind):
    """A proxy that is not up yet, and the settings that lead there."""
    url = {"kafka": KAFKA, "redis": REDIS, "schema_registry": REGISTRY}[kind]
    host, port = address_of(url)
    proxy = Proxy((host, port), up=False)
    there = url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
    return proxy, {kind: {"bootstrap.servers": there} if kind == "kafka" else {"url": there}}


def said_again_and_again(worker, what, **fields):
    """The newest line that says so."""
    lines = worker.wait_log("worker.waiting", 6 * EVERY, 2, **{"for": what}, **fields)
    times = [calendar.timegm(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S")) for line in lines[-2:]]
    assert times[1] - times[0] <= EVERY + 1, "every few seconds"
    return lines[-1]


def works(world, worker):
    worker.ready()
    _, result = world.one("[[fake: steps=1]]")
    assert result["status"] == "completed"


def cpu_seconds(worker):
    fields = pathlib.Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_missing(worker, kind):
    status, text = worker.get("/readyz")
    assert worker.get("/livez")[0] == 200
    return (status, json.loads(text)["dependencies"][kind]["ok"]) == (503, False)


def test_services_that_come_late_one_after_the_other(make_world):
    world = make_world()
    proxies, settings = {}, {}
    for kind in ("redis", "schema_registry", "kafka"):
        proxies[kind], setting = behind_a_proxy(kind)
        world.closers.append(proxies[kind].close)
        settings.update(setting)
    worker = world.start(world.write_config("late.yaml", **settings), ready=False)
    worker.wait_log("worker.waiting")
    worker.signal(signal.SIGHUP)
    worker.wait_log("config.reloaded")
    for kind, proxy in proxies.items():
        begun, used = time.monotonic(), cpu_seconds(worker)
        line = said_again_and_again(worker, kind)
        assert cpu_seconds(worker) - used < 0.1 + 0.2 * (time.monotonic() - begun), "who waits does not turn"
        assert str(proxy.port) in json.dumps(line), "the line says where it looked"
        assert is_missing(worker, kind)
        proxy.up()
        wait_for(f"{kind} is there", 40, lambda kind=kind: not is_missing(worker, kind))
    works(world, worker)
    count = len(worker.lines("worker.waiting"))
    time.sleep(EVERY)
    assert len(worker.lines("worker.waiting")) == count, "nothing is missing any more, nothing is said"


def test_schemas_and_topics_that_are_made_late(make_world):
    world = make_world(create=False)
    worker = world.start(ready=False)
    line = said_again_and_again(worker, "schema_registry")
    assert f"{world.name}." in json.dumps(line), "the line says which is missing"
    assert is_missing(worker, "schema_registry")
    world.stepmill("schemas", "register")
    assert said_again_and_again(worker, "topic")["topic"] == world.tasks_topic()
    assert is_missing(worker, "kafka")
    world.stepmill("topics", "create")
    works(world, worker)


def test_a_model_that_comes_late(make_world):
    world = make_world(breaker={"failures": 2, "open": "300ms"})
    proxy = Proxy(address_of(world.url), up=False)
    world.closers.append(proxy.close)
    worker = world.start(world.write_config("late.yaml", models={"primary": {"url": f"http://127.0.0.1:{proxy.port}/v1"}}))
    task = new_task("[[fake: steps=1]]")
    world.submit(task)
    wait_for("degraded", 20, lambda: '"status":"degraded"' in worker.get("/readyz")[1])
    assert said_again_and_again(worker, "model", model="primary")
    assert worker.get("/readyz")[0] == 200, "models down is no reason to take the worker away"
    proxy.up()
    assert world.result_of(task)["status"] == "completed"
    wait_for("ready", 20, lambda: '"status":"ready"' in worker.get("/readyz")[1])


def test_all_missing_at_once_are_all_named_and_sigterm_ends_it(make_world):
    world = make_world(create=False)
    nowhere = f"127.0.0.1:{free_port()}"
    config = world.write_config(kafka={"bootstrap.servers": nowhere}, redis={"url": f"redis://{nowhere}/0"},
                                schema_registry={"url": f"http://{nowhere}"})
    worker = world.start(config, ready=False)
    for what in ("redis", "schema_registry"):
        worker.wait_log("worker.waiting", **{"for": what})
    detail = json.loads(worker.get("/readyz")[1])["dependencies"]
    assert [detail[k]["ok"] for k in ("kafka", "redis", "schema_registry")] == [False] * 3
    begin = time.monotonic()
    worker.stop()
    assert time.monotonic() - begin < 5


# what is changed in the text of a good config, and what is said of it
BAD = [
    ("unknown key", '"redis": {', '"redis": {\n    "prefx": "a",', r'"redis.prefx": did you mean "redis.prefix"?'),
    ("duplicate key", '"redis": {', '"redis": {\n    "prefix": "a",', "duplicate key"),
    ("range", '"max_steps": 5', '"max_steps": 26', "max_steps: 26 is out of range: 1 to 25"),
    ("missing secret", "${STEPMILL_E2E_KEY}", "${STEPMILL_E2E_NOT_THERE}", "STEPMILL_E2E_NOT_THERE"),
    ("owned kafka key", '"kafka": {', '"kafka": {\n    "enable.auto.commit": "true",', "kafka.enable.auto.commit"),
    ("duration without a unit", '"timeout": "60s"', '"timeout": 60', "is not a duration"),
    ("unknown model", '"primary"\n', '"primry"\n', 'did you mean "primary"'),
    ("not YAML", '"redis": {', '"redis": ]', "not YAML"),
]


@pytest.mark.parametrize("old, new, text", [pytest.param(*row[1:4], id=row[0]) for row in BAD])
def test_a_bad_config_is_refused_with_its_place(make_world, old, new, text):
    world = make_world(create=False, agents={"search": {"max_steps": 5}})
    good = world.config.read_text()
    assert old in good
    bad = world.folder / "bad.yaml"
    bad.write_text(good.replace(old, new, 1))
    line = next(n for n, (a, b) in enumerate(zip(bad.read_text().splitlines(), good.splitlines()), 1) if a != b)
    done = world.stepmill("worker", config=bad, expect=1)
    complaint, = [entry for entry in done.stderr.splitlines() if text in entry]
    place = complaint.split(": ")[0]
    assert place.startswith(f"{bad}:")
    assert int(place.split(":")[1]) in range(line, line + 4), complaint
    assert "a-key-that-no-log-may-show" not in done.stderr


def test_a_missing_tool_or_a_bad_tool_file_is_refused(make_world):
    world = make_world(create=False, agents={"search": {"tools": ["lok"]}})
    assert '"lok"' in world.stepmill("worker", expect=1).stderr
    (world.folder / "definitions" / "look.json").write_text('{"name": "look", "timeout_ms": "soon"}')
    assert "look.json:1:" in world.stepmill("worker", expect=1).stderr


def test_no_config_and_wrong_usage(world, tmp_path):
    assert "nowhere.yaml" in world.stepmill("worker", config=tmp_path / "nowhere.yaml", expect=1).stderr
    assert "--helf" in world.stepmill("worker", "--helf", expect=2).stderr
