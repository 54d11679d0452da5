"""The index of dead letters: causes group, it comes back from the topics alone, foreign letters are read, a kill loses nothing."""
import collections
import shutil
import sqlite3
import struct

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from letters import index, letter_headers, produce, wait_letters
from places import REGISTRY, schema_text
from processor import Processor, write_action
from records import new_task
from services import HoldingRegistry
from worker import wait_for

CAUSES = ["the model did not answer within {} s", "tool web_search answered {} at http://10.0.0.{}:8080/x", "bad Avro at byte {}",
          "deadline of {} s passed", "rate limit reached for key k{}", "no JSON: unexpected token at {}",
          "tool crm_lookup timed out after {} ms", "schema {} is not known", "budget of {} tokens used up",
          'the context "{}" is longer than the model takes', "connection to host-{} refused", "refused the prompt of user {}@example.com"]
STATE = "SELECT id, status, status_at, fingerprint, occurrences, sent, job, newer_id FROM letters ORDER BY id"
GROUPS = "SELECT fingerprint, first_num, last_num FROM groups ORDER BY fingerprint"
TALLIES = "SELECT kind, name, of, status, n FROM tallies WHERE n > 0 ORDER BY kind, name, of, status"
HISTORY = "SELECT id, kind, at, actor, letter, grp, job FROM actions ORDER BY id"


def everything(processor):
    return [index(processor, query) for query in (STATE, GROUPS, TALLIES, HISTORY)]


def twelve_causes(world, count):
    return [(world.topic("dlq"), f"session-{i // 3}".encode(), b"x" * 100,
             letter_headers(world, i, agent=("search", "orders")[i % 5 == 0], klass=("exhausted", "timeout", "poison")[i % 3],
                            message=CAUSES[i % 12].format(i, i % 250)))
            for i in range(count)]


def decide(world, processor):
    """What people do with letters, as records on the actions topic."""
    letter = [row[0] for row in index(processor, "SELECT id FROM letters ORDER BY num LIMIT 10")]
    write_action(world, kind="acknowledged", letter=letter[0])
    write_action(world, kind="noted", letter=letter[0], detail="seen")
    write_action(world, kind="parked", letter=letter[1], reason="wait for the fix")
    write_action(world, kind="discarded", letter=letter[2], reason="a test")
    write_action(world, kind="retry_scheduled", letter=letter[3], due_at=4102444800000)
    write_action(world, kind="parked", letter=letter[4])
    write_action(world, kind="unparked", letter=letter[4])
    write_action(world, kind="assigned", letter=letter[5], name="ann")
    write_action(world, kind="group_resolved", group=index(processor, "SELECT fingerprint FROM groups LIMIT 1")[0][0])
    wait_for("the actions are folded", 30, lambda: index(processor, "SELECT count(*) FROM actions")[0][0] >= 9)


def test_ten_thousand_of_twelve_causes_and_the_index_comes_back(world):
    produce(twelve_causes(world, 10000))
    first = wait_letters(Processor(world), 10000)
    assert len(index(first, GROUPS)) == 12
    assert index(first, "SELECT count(*), count(DISTINCT fingerprint) FROM letters") == [(10000, 12)]
    decide(world, first)
    before = everything(first)
    assert collections.Counter(status for _, status, *_ in before[0]) == {0: 9996, 1: 1, 7: 1, 8: 1, 2: 1}
    first.kill()
    shutil.rmtree(world.folder / "index")
    second = wait_letters(Processor(world), 10000)
    wait_for("the actions are folded", 30, lambda: index(second, "SELECT count(*) FROM actions")[0][0] >= 9)
    assert everything(second) == before
    second.stop()
    # and goes on where it was, without reading anything again
    produce([(world.topic("dlq"), b"k", b"v", letter_headers(world, 10001))])
    third = wait_letters(Processor(world), 10001)
    assert third.metric("stepmill_dlq_folded_total", kind="letter") == 1


def test_killed_again_and_again_while_it_reads(world):
    produce(twelve_causes(world, 6000))
    for _ in range(6):
        processor = Processor(world)
        processor.wait_log("dlq.index")
        processor.kill()
    processor = wait_letters(Processor(world), 6000)
    assert index(processor, "SELECT count(*), sum(occurrences) FROM letters") == [(6000, 6000)]
    assert index(processor, "SELECT sum(n) FROM tallies WHERE kind = 0") == [(6000,)]


def test_actions_wait_for_the_registry_and_letters_do_not(make_world):
    """Away at the start, over a kill, and later: for a schema that came to be meanwhile."""
    registry = HoldingRegistry(REGISTRY)
    world = make_world(schema_registry={"url": registry.url})
    world.closers.append(registry.close)
    subject = f"{world.topic('dlq.actions')}-value"
    registry.held.add(world.schemas.latest(subject)["id"])
    produce(twelve_causes(world, 100))
    name = "{}:0:{}".format
    write_action(world, kind="acknowledged", letter=name(world.tasks_topic("search"), 7))
    write_action(world, kind="discarded", letter=name(world.tasks_topic("search"), 8), reason="e2e")
    first = wait_letters(Processor(world), 100)
    wait_for("it says what it waits for", 30, lambda: first.metric("stepmill_dlq_actions_held") == 1)
    status, detail = first.get("/readyz")
    assert status == 503 and '"index":{"ok":false,"code":"schema_pending"}' in detail
    assert index(first, "SELECT count(*) FROM actions") == [(0,)]
    first.kill()
    second = wait_letters(Processor(world), 100)
    produce([(world.topic("dlq"), b"k", b"v", letter_headers(world, 100))])
    wait_letters(second, 101)
    registry.held.clear()
    folded = "SELECT kind, letter IN (SELECT id FROM letters WHERE status IN (1, 8)) FROM actions ORDER BY at"
    wait_for("the actions are folded", 30, lambda: index(second, folded) == [("acknowledged", 1), ("discarded", 1)])
    second.engine().ready()
    assert second.metric("stepmill_dlq_actions_held") == 0

    other = schema_text("DeadLetterAction").replace('"type": "record"', f'"type": "record", "doc": "{world.name}"', 1)
    registry.held.add(world.schemas.register(subject, other))
    write_action(world, kind="noted", letter=name(world.tasks_topic("search"), 9), detail="later")
    wait_for("it waits again", 30, lambda: second.metric("stepmill_dlq_actions_held") == 1)
    produce([(world.topic("dlq"), b"k", b"v", letter_headers(world, 101))])
    wait_letters(second, 102)
    assert second.get("/readyz")[0] == 503
    registry.held.clear()
    wait_for("the note is folded", 30, lambda: index(second, "SELECT count(*), sum(notes) FROM letters") == [(102, 1)])
    second.ready()


def test_what_the_topics_no_longer_hold_is_forgotten(world):
    produce(twelve_causes(world, 3000))
    name = f"{world.tasks_topic('search')}:0:{{}}".format
    first = wait_letters(Processor(world), 3000)
    gone, stays = [index(first, f"SELECT id FROM letters WHERE dlq_offset {x} LIMIT 1")[0][0] for x in ("< 400", ">= 400")]
    for letter in (gone, stays, name("nowhere")):
        write_action(world, kind="noted", letter=letter, detail="seen")
    wait_for("the notes are folded", 30, lambda: index(first, "SELECT count(*) FROM actions") == [(3,)])
    expected = index(first, "SELECT count(*) FROM letters WHERE dlq_offset >= 400")[0][0]
    first.stop()
    admin = AdminClient({"bootstrap.servers": world.broker})
    ends = [TopicPartition(world.topic("dlq"), p, 400) for p in range(world.partitions)]
    place = {r.partition: r.offset + 1 for r in world.reader("dlq.actions").all()}
    ends += [TopicPartition(world.topic("dlq.actions"), p, end) for p, end in place.items()]
    for deleted in admin.delete_records(ends).values():
        deleted.result(30)
    second = Processor(world)
    wait_for("all of it is forgotten", 60, lambda: index(second, "SELECT count(*) FROM letters") == [(expected,)]
             and index(second, "SELECT letter FROM actions") == [(stays,)])
    wait_for("the counts follow", 10, lambda: index(second, "SELECT sum(n), min(n) > 0 FROM tallies WHERE kind = 0") == [(expected, 1)])
    assert index(second, "SELECT count(*) FROM bytes") == [(expected,)]
    assert len(second.api("GET", "/letters?agent=search&limit=5").json()["items"]) == 5


def tasks_index(world, query):
    with sqlite3.connect(f"file:{world.folder / 'index' / 'tasks.db'}?mode=ro", uri=True, timeout=30) as db:
        return db.execute(query).fetchall()


def make_again(world, topic):
    """Deletes it and makes it again: the same name, another id, the offsets from 0 on."""
    admin = AdminClient({"bootstrap.servers": world.broker})
    admin.delete_topics([topic])[topic].result(30)

    def made():
        try:
            admin.create_topics([NewTopic(topic, world.partitions, 1)])[topic].result(30)
        except KafkaException:  # the name is not free yet
            return False
        return True

    wait_for(f"{topic} is made again", 30, made)


def test_topics_that_were_made_again_are_other_topics(world):
    """Deleted and made again while the processor is away: not a letter of the old ones is shown, and none of the new ones passed over."""
    produce(twelve_causes(world, 300))
    first = wait_letters(Processor(world), 300)
    decide(world, first)
    wait_for("the task view knows its topic", 30, lambda: tasks_index(world, "SELECT count(*) FROM topics") == [(1,)])
    first.stop()
    new = [(world.topic("dlq"), b"k", b"v", letter_headers(world, 1000 + i)) for i in range(40)]
    make_again(world, world.topic("dlq"))
    make_again(world, world.topic("events"))
    produce(new[:20])
    second = Processor(world).engine()
    wait_for("only the new letters are there", 60, lambda: index(second, "SELECT count(*) FROM letters") == [(20,)])
    assert [line["topic"] for line in second.lines("dlq.index_remade")] == [world.topic("dlq")]
    assert index(second, "SELECT count(*) FROM letters WHERE message <> 'no answer'") == [(0,)]
    assert index(second, "SELECT count(*) FROM actions") == [(9,)], "those of the other topic are read again"
    assert len(second.api("GET", "/letters?limit=100").json()["items"]) == 20

    second.wait_log("dlq.tasks_remade")

    # while it runs: what it decided was decided by the old letters
    make_again(world, world.topic("dlq"))
    assert second.wait(60) == 1
    assert "topic_remade" in second.text
    produce(new[20:])
    third = Processor(world).engine()
    wait_for("only the newest letters are there", 60, lambda: index(third, "SELECT count(*), min(id) FROM letters") == [
        (20, f"{world.tasks_topic('search')}:0:1020")])
    third.stop()
    # and then it goes on where it was
    fourth = Processor(world).engine()
    assert not fourth.lines("dlq.index_remade")
    assert index(fourth, "SELECT count(*) FROM letters") == [(20,)]
    assert fourth.metric("stepmill_dlq_folded_total", kind="letter") == 0


def foreign(world, topic):
    text = str.encode
    return [
        (topic, b"k1", b"\x00", [("__connect.errors.topic", b"orders"), ("__connect.errors.partition", b"5"), ("__connect.errors.offset", b"1234"),
                                 ("__connect.errors.connector.name", b"jdbc-sink"), ("__connect.errors.stage", b"VALUE_CONVERTER"),
                                 ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
                                 ("__connect.errors.exception.message", text("Zeile 7 fehlt: ä"))]),
        (topic, b"k2", b"{}", [("kafka_dlt-original-topic", b"payments"), ("kafka_dlt-original-partition", struct.pack(">i", 7)),
                               ("kafka_dlt-original-offset", struct.pack(">q", 9999999999)), ("kafka_dlt-original-consumer-group", b"billing"),
                               ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
                               ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
                               ("kafka_dlt-exception-message", b"Listener failed")]),
        (topic, None, b"v", [("__streams.errors.exception", b"org.apache.kafka.common.errors.SerializationException: bad"),
                             ("__streams.errors.topic", b"clicks"), ("__streams.errors.partition", b"0"), ("__streams.errors.offset", b"42")]),
        (topic, b"k4", None, [("__dlq.errors.topic", b"jobs"), ("__dlq.errors.partition", b"1"), ("__dlq.errors.offset", b"3"),
                              ("__dlq.errors.group", b"share"), ("__dlq.errors.delivery.count", b"5"), ("__dlq.errors.message", b"given up")]),
        (topic, b"k5", b"plain", []),
    ]


def test_letters_of_others(world):
    topic = world.topic("foreign")
    world.stepmill("topics", "create", config=world.write_config("foreign.yaml", topics={"dlq": topic}))
    produce(foreign(world, topic))
    processor = wait_letters(Processor(world, topics=[topic, world.topic("not-there")]), 5)
    rows = index(processor, "SELECT id, family, consumer, class, code, attempts FROM letters WHERE family < 5 ORDER BY family")
    assert rows == [("jobs:1:3", 1, "share", None, None, 5),
                    ("orders:5:1234", 2, "jdbc-sink", "org.apache.kafka.connect.errors.DataException", "DataException", -1),
                    ("payments:7:9999999999", 3, "billing", "java.lang.IllegalStateException", "IllegalStateException", -1),
                    ("clicks:0:42", 4, None, "org.apache.kafka.common.errors.SerializationException", "SerializationException", -1)]
    assert index(processor, "SELECT topic, message FROM letters WHERE family = 5") == [(None, None)]
    assert processor.metric("stepmill_dlq_foreign_total") == 5


def test_a_task_that_failed_and_its_steps(world):
    """The dead letter of a worker, and what the task view knows of the task."""
    world.start()
    task = new_task("[[fake: steps=2 tools=look fail@2=400]]")
    world.submit(task)
    processor = wait_letters(Processor(world), 1)
    assert index(processor, "SELECT task_id, agent, session_id FROM letters") == [(task["task_id"], "search", task["session_id"])]
    wait_for("the steps are folded", 30, lambda: processor.metric("stepmill_dlq_folded_total", kind="event") >= 4)
    assert tasks_index(world, "SELECT task_id, status, steps, tool_calls, last_kind FROM tasks") == [
        (task["task_id"], 2, 1, 1, "TaskFailed")]
    assert tasks_index(world, "SELECT seq FROM steps ORDER BY seq") == [(0,), (1,), (2,), (3,)]
