"""What a session remembers: the last 20 messages, and what it has cost."""
from datetime import datetime, timezone

from records import new_task


def contents(request):
    return [(m["role"], m["content"]) for m in request["body"]["messages"] if m["role"] != "system"]


def test_the_next_task_sees_the_last_twenty_messages(world):
    world.start()
    for n in range(13):
        task = new_task(f'Question {n} [[fake: steps=1 answer="answer {n}" tokens=10+5]]', session="talk")
        assert world.run(task)[0]["output"] == f"answer {n}"
        shown = contents(world.requests(task)[0])
        asked = [f"Question {i}" for i in range(max(0, n - 10), n + 1)]
        assert [c.split(" [[")[0] for role, c in shown if role == "user"] == asked
        assert [c for role, c in shown if role == "assistant"] == [f"answer {i}" for i in range(max(0, n - 10), n)]
    assert world.redis.llen(world.key("session:talk:messages")) == 20
    assert 86000 < world.redis.ttl(world.key("session:talk:messages")) <= 86400
    started = world.history_of(task)[0].body
    assert [t["content"] for t in started["memory"][1::2]] == [f"answer {i}" for i in range(2, 12)], "the audit has what was used"

    assert world.redis.get(world.key("tokens:session:talk")) == b"195"
    today = datetime.now(timezone.utc).strftime("%Y%m%d")
    assert int(world.redis.get(world.key(f"tokens:search:{today}"))) == 195
    assert world.redis.ttl(world.key(f"tokens:search:{today}")) > 6 * 86400


def test_only_completed_tasks_are_remembered_and_other_sessions_are_not_seen(world):
    world.start()
    world.one('one [[fake: steps=1 answer="1"]]', session="a")
    world.one("fails [[fake: fail=400]]", session="a")
    world.one('other [[fake: steps=1 answer="2"]]', session="b")
    task, _ = world.one('three [[fake: steps=1 answer="3"]]', session="a")
    assert [c.split(" [[")[0] for _, c in contents(world.requests(task)[0])] == ["one", "1", "three"]


def test_memory_is_bounded_in_bytes(make_world):
    world = make_world(limits={"session_memory": "4KiB"})
    world.start()
    for n in range(4):
        task, _ = world.one(f"Q{n} [[fake: steps=1 size=1500]]", session="big")
    shown = contents(world.requests(task)[0])
    assert [c[:2] for role, c in shown if role == "user"] == ["Q1", "Q2", "Q3"], "the oldest turn went, question and answer"


def test_without_memory_each_task_stands_alone(make_world):
    world = make_world(agents={"search": {"session_memory": False}})
    world.start()
    world.one("first", session="a")
    task, _ = world.one("second", session="a")
    assert contents(world.requests(task)[0]) == [("user", "second")]
    assert not world.redis.exists(world.key("session:a:messages"))
