"""Dead letters that others write, each by the writer itself: Kafka Streams and Kafka Connect from Maven read right by the index."""
import os
import pathlib
import struct
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from letters import index, produce, wait_letters
from places import KAFKA, TIME_FACTOR
from processor import Processor
from worker import die_with_parent

SOURCE = pathlib.Path(__file__).parent / "dead-letter-writers" / "DeadLetterWriters.java"
CACHE = pathlib.Path(os.environ.get("STEPMILL_CACHE", pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "stepmill"))
JARS = CACHE / "dead-letter-writers-4.2.0"
QUICK = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
WORKER = """bootstrap.servers={brokers}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=500
listeners=HTTP://127.0.0.1:0
plugin.path={folder}
plugin.discovery=service_load
"""
SINK = """name=orders-sink
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
tasks.max=1
topics={topic}
file={folder}/orders
consumer.override.auto.offset.reset=earliest
errors.tolerance=all
errors.deadletterqueue.topic.name={dlq}
errors.deadletterqueue.topic.replication.factor=1
errors.deadletterqueue.context.headers.enable=true
"""


def run_writers(folder, streams_topic, connect_topic, dlq):
    """The process with both; its output goes to `log`."""
    classes = folder / "classes"
    done = subprocess.run(["java", *QUICK, "-jar", *JARS.glob("ecj-*.jar"), "-17", "-nowarn", "-cp", ":".join(map(str, JARS.glob("*.jar"))), "-d", classes, SOURCE],
                          capture_output=True, text=True, timeout=60 * TIME_FACTOR, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {"brokers": KAFKA, "folder": folder, "topic": connect_topic, "dlq": dlq}
    for name, text in (("worker", WORKER), ("sink", SINK)):
        (folder / f"{name}.properties").write_text(text.format(**names), encoding="utf-8")
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(["java", *QUICK, f"-Djava.io.tmpdir={folder}", "-cp", f"{classes}:{JARS}/*", "DeadLetterWriters", KAFKA,
                                 streams_topic, dlq, folder / "worker.properties", folder / "sink.properties"],
                                stdout=log, stderr=log, preexec_fn=die_with_parent)


@pytest.mark.timeout(200 * TIME_FACTOR)
def test_letters_of_streams_and_connect(world, tmp_path):
    streams, connect, dlq = world.topic("clicks"), world.topic("orders"), world.topic("others")
    topics = [streams, f"{streams}-out", connect, dlq]
    admin = AdminClient({"bootstrap.servers": KAFKA})
    world.closers.append(lambda: admin.delete_topics(topics, operation_timeout=0))
    for created in admin.create_topics([NewTopic(name, 1, 1) for name in topics]).values():
        created.result(30)
    number = struct.Struct(">i").pack
    produce([(streams, b"good", number(7), []), (streams, b"unreadable", b"abc", []), (streams, b"negative", number(-3), []),
             (streams, b"large", number(4711), []), (connect, b"good", b'{"a": 1}', []), (connect, b"broken", b'{"a": ', [("origin", b"shop")])])
    writers = run_writers(tmp_path, streams, connect, dlq)
    try:
        processor = wait_letters(Processor(world, topics=[dlq]), 4, 120)
    except AssertionError:
        print((tmp_path / "log").read_text(errors="replace")[-6000:])
        raise
    finally:
        writers.kill()
        writers.wait()
    rows = index(processor, "SELECT id, family, topic, partition, offset, consumer, class, code, stage, session_id FROM letters ORDER BY id")
    kafka = "org.apache.kafka"
    assert rows == [
        (f"{streams}:0:1", 4, streams, 0, 1, None, f"{kafka}.common.errors.SerializationException", "SerializationException", None, "unreadable"),
        (f"{streams}:0:2", 4, streams, 0, 2, None, "java.lang.IllegalArgumentException", "IllegalArgumentException", None, "negative"),
        (f"{streams}:0:3", 4, streams, 0, 3, None, f"{kafka}.common.errors.SerializationException", "SerializationException", None, "large"),
        (f"{connect}:0:1", 2, connect, 0, 1, "orders-sink", f"{kafka}.connect.errors.DataException", "DataException", "VALUE_CONVERTER", "broken")]
    messages = dict(index(processor, "SELECT session_id, message FROM letters"))
    assert messages["negative"] == "order -3 is below zero" and messages["large"] == "number 4711 does not fit"
    assert "4" in messages["unreadable"]  # Size of data received by IntegerDeserializer is not 4
    assert "byte[]" in messages["broken"]
    assert index(processor, "SELECT count(DISTINCT fingerprint), count(DISTINCT num) FROM letters") == [(4, 4)]
    assert index(processor, "SELECT l.session_id, b.value FROM letters l JOIN bytes b ON b.num = l.num WHERE family = 4 ORDER BY l.id") == [
        ("unreadable", b"abc"), ("negative", number(-3)), ("large", number(4711))]
