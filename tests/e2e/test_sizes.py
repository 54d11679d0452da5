"""Large but allowed: what is within the limits arrives whole, in results and in events."""
import pytest

from proof import check_history


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world(limits={"model_answer": "7MiB", "record": "8MiB"}, agents={"search": {"session_memory": False}})
    world.start()
    return world


@pytest.mark.parametrize("size", [100_000, 3_000_000, 7_000_000])
def test_large_answers_arrive_whole(world, size):
    task, result = world.one(f"[[fake: steps=1 size={size} tokens=10+10]]", seconds=60)
    assert (result["status"], len(result["output"].encode())) == ("completed", size)
    check_history(world.history_of(task), result)


def test_a_large_prompt_reaches_the_model_whole(world):
    text = "Grüße, 世界! " * 100_000
    task, result = world.one(text + "[[fake: steps=1 tokens=10+10]]", seconds=60)
    assert result["status"] == "completed"
    assert world.history_of(task)[0].body["task"]["prompt"] == task["prompt"]
