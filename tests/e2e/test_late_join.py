"""A JoinGroup that its worker has given up as lost reaches the group late and names nothing owned: for one generation the worker's
partitions are another's, and it has not heard of it. What it holds it must not go on with (simulator, seed 3029697).

The late request is sent by this test, in the worker's name, to the real group."""
import socket
import struct
import time

import pytest
from confluent_kafka.admin import AdminClient

from places import KAFKA, TIME_FACTOR
from records import new_task
from worker import wait_for

JOIN, SYNC = (11, 5), (14, 3)  # API key and version


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def sized(data):
    return struct.pack(">i", len(data)) + data


class Fields:
    """Reads an answer from its start."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        found, = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def bytes(self, form=">h"):
        size = max(self.take(form), 0)
        self.at += size
        return self.data[self.at - size:self.at]


def subscription(topics):
    """Consumer protocol, subscription version 1: topics, no user data, nothing owned."""
    return struct.pack(">hi", 1, len(topics)) + b"".join(map(text, topics)) + struct.pack(">ii", -1, 0)


def assignment(topic, partitions):
    return struct.pack(">hi", 1, 1) + text(topic) + struct.pack(f">i{len(partitions)}ii", len(partitions), *partitions, -1)


class LateMember:
    """Speaks for a member of the group over a connection of its own."""

    def __init__(self, group, member):
        host, port = KAFKA.split(":")
        self.group, self.member = group, member
        self.connection = socket.create_connection((host, int(port)), 30 * TIME_FACTOR)

    def send(self, api, body):
        head = struct.pack(">hhi", *api, 1) + text("late")
        self.connection.sendall(sized(head + body))

    def receive(self):
        with self.connection.makefile("rb") as stream:
            answer = Fields(stream.read(struct.unpack(">i", stream.read(4))[0]))
        answer.take(">i")  # correlation id
        answer.take(">i")  # throttled for
        assert (error := answer.take(">h")) == 0, f"the group answers {error}"
        return answer

    def join(self, topics):
        self.send(JOIN, text(self.group) + struct.pack(">ii", 6000, 300000) + text(self.member) + text(None) + text("consumer") +
                  struct.pack(">i", 1) + text("cooperative-sticky") + sized(subscription(topics)))

    def joined(self):
        """(generation, leader, members)"""
        answer = self.receive()
        generation, _, leader, _ = answer.take(">i"), answer.bytes(), answer.bytes(), answer.bytes()
        members = []
        for _ in range(answer.take(">i")):
            members.append(answer.bytes().decode())
            answer.bytes()
            answer.bytes(">i")
        return generation, leader.decode(), members

    def sync(self, generation, shares):
        """shares: member → assignment; only the leader names any."""
        self.send(SYNC, text(self.group) + struct.pack(">i", generation) + text(self.member) + text(None) + struct.pack(">i", len(shares)) +
                  b"".join(text(member) + sized(share) for member, share in shares.items()))
        self.receive()


def members_of(group):
    admin = AdminClient({"bootstrap.servers": KAFKA})
    described, = admin.describe_consumer_groups([group]).values()
    return [member.member_id for member in described.result(30).members]


@pytest.mark.timeout(180 * TIME_FACTOR)
def test_what_another_owned_meanwhile_is_read_again(make_world):
    world = make_world(partitions=4)
    first = world.start()
    wait_for("it owns all", 30, lambda: first.metric("stepmill_partitions_owned") == 4)
    late, = (LateMember(world.name, member) for member in members_of(world.name))
    tasks = [new_task("[[fake: steps=1 latency=12s]]") for _ in range(8)]
    for n, task in enumerate(tasks):
        world.writer.send(world.tasks_topic(), task["session_id"], world.encode(task), partition=n % 4)
    world.writer.flush()
    wait_for("calls are under way in each partition", 20, lambda: first.metric("stepmill_http_requests_running") == len(tasks))
    second = world.start(ready=False)
    first.wait_log("kafka.rebalance", kind="revoke")  # its calls are waited for, for 5 s
    late.join([world.tasks_topic()])
    generation, leader, members = late.joined()
    assert leader == late.member
    other, = (member for member in members if member != late.member)
    late.sync(generation, {other: assignment(world.tasks_topic(), range(4)), late.member: assignment(world.tasks_topic(), [])})
    wait_for("the other owns all", 10, lambda: second.metric("stepmill_partitions_owned") == 4)
    first.wait_log("kafka.generation_missed")
    world.results.until(lambda _: all(world.results.of_task(t["task_id"]) for t in tasks), 90)
    time.sleep(2)
    assert [len(world.results.of_task(t["task_id"])) for t in tasks] == [1] * len(tasks)
    world.settled()
