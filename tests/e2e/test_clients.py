"""Foreign clients: what Confluent's Python client and fastavro with aiokafka write, the worker reads, and the other way round."""
import asyncio
import io
import json
import re
import struct
import time

import aiokafka
import fastavro
import pytest
import requests
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from places import KAFKA, REGISTRY, schema_text
from proof import check_history
from records import encode, new_task

TRACE = "0af7651916cd43dd8448eb211c80319c"
SEVEN = ("task_id", "source_agent", "target_agent", "session_id", "prompt", "context", "created_at")


def seven_fields_schema():
    """What a client writes that knows only the fields every task must have."""
    schema = json.loads(schema_text("AgentTaskEvent"))
    schema["fields"] = [f for f in schema["fields"] if f["name"] in SEVEN]
    return json.dumps(schema)


def send_by_confluent(world, task):
    topic = world.tasks_topic()
    serialize = AvroSerializer(SchemaRegistryClient({"url": REGISTRY}), seven_fields_schema())
    producer = Producer({"bootstrap.servers": KAFKA})
    producer.produce(topic, key=task["session_id"], headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
                     value=serialize({k: task[k] for k in SEVEN}, SerializationContext(topic, MessageField.VALUE)))
    assert producer.flush(20) == 0


def send_by_aiokafka(world, task):
    """Another record name and namespace, fields in another order, one more of each kind, an enum and a default left out."""
    ours = {f["name"]: f for f in json.loads(schema_text("AgentTaskEvent"))["fields"]}
    schema = {"type": "record", "name": "Job", "namespace": "org.elsewhere", "fields": [
        {"name": "tenant", "type": "string"},
        *(ours[name] for name in ("prompt", "context", "session_id", "target_agent", "task_id", "max_steps", "source_agent")),
        {"name": "weights", "type": {"type": "array", "items": {"type": "record", "name": "W", "fields": [
            {"name": "a", "type": "double"}, {"name": "b", "type": ["null", "bytes"]}]}}},
        {"name": "priority", "type": {"type": "enum", "name": "Priority", "symbols": ["low", "high"]}},
        ours["created_at"]]}
    schema_id = world.schemas.register(f"{world.name}-elsewhere-value", json.dumps(schema))
    value = encode(schema_id, fastavro.parse_schema(schema),
                   dict(task, tenant="t1", weights=[{"a": 1.5, "b": None}, {"a": -1.0, "b": b"xyz"}], priority="high"))

    async def send():
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
            await producer.send_and_wait(world.tasks_topic(), value, key=task["session_id"].encode(),
                                         headers=[("trace-id", TRACE.encode())])

    asyncio.run(send())


def send_by_stepmill(world, task):
    done = world.stepmill("produce", "--agent", "search", "--session", task["session_id"], "--prompt", task["prompt"],
                          "--task-id", task["task_id"], "--context", "colour=blue", "--context", "meta.tenant=t7")
    assert task["task_id"] in done.stdout


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world()
    world.start()
    return world


def read_by_confluent(topic, count):
    """The values of a topic as Confluent's deserializer makes them."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": REGISTRY}))
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": f"{topic}-confluent", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.subscribe([topic])
    found = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            found.append(deserialize(message.value(), SerializationContext(topic, MessageField.VALUE)))
    consumer.close()
    return found


def read_by_aiokafka(world, topic, count):
    """The values of a topic as fastavro reads them with the registry's schema."""
    async def read():
        consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=KAFKA, auto_offset_reset="earliest", group_id=None,
                                             isolation_level="read_committed")
        found = []
        async with consumer:
            deadline = time.monotonic() + 30
            while len(found) < count and time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [r.value for r in records]
        return found

    def decode(value):
        magic, schema_id = struct.unpack(">bI", value[:5])
        assert magic == 0
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), world.schemas.of(schema_id), None)

    return [decode(value) for value in asyncio.run(read())]


@pytest.mark.parametrize("send", [send_by_confluent, send_by_aiokafka, send_by_stepmill])
def test_a_task_of_any_client_completes(world, send):
    task = new_task("Find it. [[fake: tools=look args.look={\"q\":\"it\"} tokens=70+30 answer=\"found it\"]]",
                    context={"colour": "blue", "meta.tenant": "t7"})
    begin = time.time() * 1000
    send(world, task)
    result = world.result_of(task)
    assert (result["status"], result["output"], result["error"]) == ("completed", "found it", None)
    assert (result["agent"], result["session_id"], result["model"]) == ("search", task["session_id"], "primary")
    assert (result["steps_used"], result["tool_calls"]) == (2, 1)
    assert (result["prompt_tokens"], result["completion_tokens"], result["tokens_used"]) == (140, 60, 200)
    assert result["metadata"] == {"meta.tenant": "t7"}
    assert (result["final"], result["redrives"]) == (True, 0)
    assert re.fullmatch("[0-9a-f]{32}", result["history"])
    assert begin - 1000 < result["finished_at"].timestamp() * 1000 < time.time() * 1000 + 1000
    assert 0 <= result["duration_ms"] < 30000
    history = world.history_of(task)
    check_history(history, result)
    assert [e.kind for e in history] == ["TaskStarted", "ModelAnswered", "ToolAnswered", "ModelAnswered", "TaskCompleted"]
    prompt = world.requests(task)[0]["body"]["messages"][-1]["content"]
    assert prompt == 'Context:\n{"colour":"blue"}\n\n' + task["prompt"]


def test_both_clients_decode_all_that_was_committed(world):
    world.settled()
    for name in ("results", "events"):
        ours = world.reader(name).all()
        topic = world.topic(name)
        by_confluent, by_aiokafka = read_by_confluent(topic, len(ours)), read_by_aiokafka(world, topic, len(ours))
        place = lambda r: (r["task_id"], r.get("seq", 0))
        assert sorted(map(place, by_confluent)) == sorted(map(place, by_aiokafka)) == sorted(place(r.data) for r in ours)
        key = lambda r: json.dumps(r, default=str, sort_keys=True)
        assert sorted(by_confluent, key=key) == sorted(by_aiokafka, key=key)


def test_subjects_and_ids_are_as_confluents_registry_has_them(world):
    for topic, schema in ((world.tasks_topic(), "AgentTaskEvent"), (world.topic("results"), "AgentTaskResult"),
                          (world.topic("events"), "AgentEvent")):
        assert 1 in requests.get(f"{REGISTRY}/subjects/{topic}-value/versions", timeout=20).json()  # the list of all ends at 1,000
        latest = world.schemas.latest(f"{topic}-value")
        assert json.loads(latest["schema"])["name"] == schema
        compatibility = requests.get(f"{REGISTRY}/config/{topic}-value", timeout=20).json()
        assert compatibility["compatibilityLevel"] == "BACKWARD"
    for name in ("results", "events"):
        ids = {struct.unpack(">bI", r.value[:5]) for r in world.reader(name).all()}
        assert ids == {(0, world.schemas.latest(f"{world.topic(name)}-value")["id"])}


def test_records_are_cloud_events_keyed_by_session_and_traced(world):
    _, results = world.results.all(), {r.data["task_id"]: r for r in world.results.records}
    for record in [*world.events.all(), *results.values()]:
        data = record.data
        name = "AgentEvent" if "seq" in data else "AgentTaskResult"
        assert record.key.decode() == data["session_id"]
        assert record.header("ce_specversion") == "1.0"
        assert record.header("ce_type") == f"com.myco.agents.v1.{name}"
        assert record.header("ce_source") == ("stepmill/search" if "seq" in data else "stepmill/search/results")
        assert record.header("content-type") == "application/avro"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.header("ce_time"))
        task_id, _, digest = record.header("ce_id").split("/")
        assert task_id == data["task_id"] and re.fullmatch("[0-9a-f]{32}", digest)
        parent = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", record.header("traceparent"))
        assert parent
        if name == "AgentEvent":
            assert (data["trace_id"], data["span_id"]) == parent.groups()
    traced = [r for r in results.values() if TRACE in r.header("traceparent")]
    assert len(traced) == 2, "traceparent of one client and trace-id of another go on in the results"
    for record in traced:
        for request in world.requests(record.data):
            assert TRACE in {k.lower(): v for k, v in request["headers"].items()}["traceparent"]
