"""Sends one task to Stepmill and waits for its result (Confluent's Python client).

    pip install "confluent-kafka[avro,schema-registry]"
    python examples/produce.py orders my-session "Order o-9001: 1 x SKU-7 to 1 Elm Street"

Environment: KAFKA (127.0.0.1:29092), REGISTRY (http://127.0.0.1:28081/apis/ccompat/v7).
"""
import os
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

KAFKA = os.environ.get("KAFKA", "127.0.0.1:29092")
REGISTRY = os.environ.get("REGISTRY", "http://127.0.0.1:28081/apis/ccompat/v7")


def send(registry, agent, session, prompt):
    topic = f"agent.tasks.{agent}"
    serialize = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    task = {
        "task_id": str(uuid.uuid4()), "source_agent": "example", "target_agent": agent, "session_id": session,
        "prompt": prompt, "context": {}, "created_at": int(time.time() * 1000),
        "max_steps": None, "token_budget": None, "deadline_at": None, "parent_task_id": None,
    }
    failures = []
    producer = Producer({"bootstrap.servers": KAFKA, "partitioner": "murmur2_random", "enable.idempotence": True})
    producer.produce(topic, key=session, value=serialize(task, SerializationContext(topic, MessageField.VALUE)),
                     on_delivery=lambda error, _: failures.append(error) if error else None)
    producer.flush(30)
    if failures:
        sys.exit(f"not sent: {failures[0]}")
    return task["task_id"]


def wait_for(consumer, registry, task_id, seconds=120):
    deserialize = AvroDeserializer(registry)
    end = time.time() + seconds
    while time.time() < end:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        result = deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        if result["task_id"] == task_id:
            return result
    sys.exit(f"no result for {task_id} within {seconds} s: is a worker running? (stepmill lag, stepmill doctor)")


def main(agent, session, prompt):
    registry = SchemaRegistryClient({"url": REGISTRY})
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": f"example-{uuid.uuid4()}", "auto.offset.reset": "latest",
                         "isolation.level": "read_committed", "enable.auto.commit": False})
    assigned = []
    consumer.subscribe(["agent.results"], on_assign=lambda _, partitions: assigned.extend(partitions))
    while not assigned:
        consumer.poll(0.2)
    task_id = send(registry, agent, session, prompt)
    print("sent", task_id)
    result = wait_for(consumer, registry, task_id)
    print(result["status"], f"{result['steps_used']} steps, {result['tokens_used']} tokens:", result["output"] or result["error"])
    consumer.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
