"""When most tasks fail for one cause, the cause is not the tasks: they are held back instead of being dead-lettered one after the other."""
import time

import pytest

from places import TIME_FACTOR
from records import new_task


@pytest.mark.timeout(200 * TIME_FACTOR)
def test_a_topic_is_not_emptied_into_the_dead_letters(make_world):
    world = make_world(agents={"search": {"max_in_flight": 10, "session_memory": False}})
    worker = world.start()
    world.fakes.post("/fakes/faults", {"model": "400"})
    tasks = [new_task("[[fake: steps=1]]") for _ in range(200)]
    world.submit(*tasks)
    begin = time.monotonic()
    worker.wait_log("agent.systemic_failure", 30)
    time.sleep(3)
    letters = len(world.dlq.all())
    assert 25 < letters <= 75, "about fifty told that something is wrong, and whatever was about to end then"
    world.fakes.post("/fakes/faults", {"model": None})
    world.results.until(len(tasks), 90)
    assert time.monotonic() - begin > 25, "it is tried again after half a minute, with one task"
    world.settled()
    failed = [r for r in world.results.all() if r.data["status"] == "failed"]
    assert len(failed) == len(world.dlq.all()) == letters, "all others were done when the cause was gone"


def test_what_is_the_users_own_doing_does_not_count(make_world):
    world = make_world(agents={"search": {"session_memory": False}})
    worker = world.start()
    tasks = [new_task("[[fake: fail=content_filter]]") for _ in range(60)]
    poison = [new_task(max_steps=99) for _ in range(60)]
    world.submit(*tasks, *poison)
    world.results.until(120)
    _, result = world.one("[[fake: steps=1]]")
    assert result["status"] == "completed"
    assert not worker.lines("agent.systemic_failure")
