"""A long task beside thousands of short ones in one partition: it holds up nobody, and after a restart none of them runs again."""
import time

import pytest

from places import TIME_FACTOR
from records import new_task
from worker import wait_for


@pytest.mark.timeout(1500 * TIME_FACTOR)
@pytest.mark.parametrize("end", ["SIGTERM", "kill -9"])
def test_short_tasks_pass_a_long_one(make_world, pytestconfig, end):
    long_seconds, count = (600, 20000) if pytestconfig.getoption("--long") else (int(60 * TIME_FACTOR), 5000)
    world = make_world(partitions=1, agents={"search": {"session_memory": False}}, worker={"drain_timeout": "10s"},
                       models={"primary": {"timeout": "11m"}})
    worker = world.start()
    long = new_task(f"[[fake: tools=look latency@2={long_seconds}s]]", "long", "long")
    world.submit(long)
    wait_for("its second call", 20, lambda: len(world.calls(long)) == 3)
    began = time.monotonic()

    world.results.poll()
    delays = []
    for n in range(0, count, 500):
        world.submit(*[new_task('[[fake: answer="short"]]', f"short-{i}", f"s-{i % 997}") for i in range(n, n + 500)])
        world.results.until(n + 500, 60)
    for r in world.results.records:
        delays.append(r.arrived - r.data["finished_at"].timestamp())
    delays.sort()
    print(f"visible after finishing: median {delays[len(delays) // 2]:.3f} s, longest {delays[-1]:.3f} s; "
          f"{count} took {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < long_seconds, "the long task still runs"
    if TIME_FACTOR == 1:
        assert delays[-1] < 1

    calls = {c["key"]: c["count"] for c in world.calls("") if c["task"] != "long"}
    if end == "SIGTERM":
        worker.stop(seconds=20)
    else:
        worker.kill()
    assert world.lag() == count + 1, "the watermark waits for the long task"
    world.fakes.post("/fakes/faults", {"model": {"latency": "2s"}})
    world.start()
    result = world.result_of(long)
    assert result["status"] == "completed"
    world.settled()
    assert {c["key"]: c["count"] for c in world.calls("") if c["task"] != "long"} == calls, "none of the short ones ran again"
    assert len(world.results.all()) == count + 1
