"""Asks the group's coordinator what is committed, by a request of the lab's own: stable offsets, and the text beside them to the last byte.

(confluent-kafka reads the text as if it ended with a NUL, which librdkafka does not promise.)
"""
import socket
import struct

UNSTABLE = 88


def compact(text):
    data = text.encode()
    return bytes([len(data) + 1]) + data


def varint(number):
    data = b""
    while number >= 0x80:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


class Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        found, = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(">B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self):
        length = self.varint() - 1
        if length < 0:
            return None
        found = self.data[self.at:self.at + length]
        self.at += length
        return found.decode()

    def tags(self):
        assert self.varint() == 0, "no tagged fields are expected"


def receive(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise OSError("the broker closed the connection")
        data += more
    return data


def committed(address, group, topic, partitions, timeout=5):
    """partition → (offset, text) of those that have a stable offset now; OSError when the broker is not there or not the coordinator."""
    body = compact(group) + b"\x02" + compact(topic) + varint(len(partitions) + 1) + b"".join(struct.pack(">i", p) for p in partitions)
    body += b"\x00" + b"\x01" + b"\x00"  # tags of the topic, require_stable, tags
    head = struct.pack(">hhih", 9, 7, 1, 5) + b"chaos" + b"\x00"
    with socket.create_connection(address, timeout) as s:
        s.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        answer = Answer(receive(s, struct.unpack(">i", receive(s, 4))[0]))
    answer.take(">i")
    answer.tags()
    answer.take(">i")
    found = {}
    for _ in range(answer.varint() - 1):
        answer.text()
        for _ in range(answer.varint() - 1):
            partition, offset, _ = answer.take(">i"), answer.take(">q"), answer.take(">i")
            text, error = answer.text(), answer.take(">h")
            answer.tags()
            if error and error != UNSTABLE:
                raise OSError(f"partition {partition}: error {error}")
            if not error and offset >= 0:
                found[partition] = offset, text or ""
        answer.tags()
    if error := answer.take(">h"):
        raise OSError(f"error {error}")
    return found
