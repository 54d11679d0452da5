"""Reads what the group has committed: the watermark, and the finished offsets above it that the commit's metadata names."""
import base64
import socket
import struct

LIMIT = 4000  # characters; brokers refuse more than 4,096


class Committed:
    """One partition's committed offset. `above`: the finished offsets behind it; `runs`: how many stretches they make."""

    def __init__(self, watermark, metadata):
        assert len(metadata) <= LIMIT, f"{len(metadata)} characters of metadata"
        self.watermark, self.metadata = max(watermark, 0), metadata
        self.above = set(finished_offsets(self.watermark, metadata)) if metadata else set()
        self.runs = sum(offset - 1 not in self.above for offset in self.above)

    def has(self, offset):
        return offset < self.watermark or offset in self.above


def committed(world, partition=0):
    """Asks the broker, which must be the group's coordinator (OffsetFetch, version 1): Confluent's client reads metadata past its end,
    for it comes without a terminator."""
    asked = struct.pack(">hhi", 9, 1, 1) + string("") + string(world.settings["kafka"]["group.id"])
    asked += struct.pack(">i", 1) + string(world.tasks_topic()) + struct.pack(">ii", 1, partition)
    host, port = world.broker.split(":")
    with socket.create_connection((host, int(port)), 20) as s, s.makefile("rb") as answer:
        s.sendall(struct.pack(">i", len(asked)) + asked)
        data = answer.read(struct.unpack(">i", answer.read(4))[0])
    at = 4 + 4 + len(string(world.tasks_topic())) + 4 + 4  # correlation id, topics, name, partitions, number
    offset, length = struct.unpack_from(">qh", data, at)
    text, (error,) = data[at + 10:at + 10 + max(length, 0)], struct.unpack(">h", data[-2:])
    assert not error, f"OffsetFetch: error {error}"
    return Committed(offset, text.decode())


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def finished_offsets(watermark, text):
    """Format 1: watermark (8 bytes, little endian), CRC-32C (4), then tokens: runs of equal bits, or plain bytes of bits."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert data[0] == 1 and struct.unpack_from("<q", data, 1)[0] == watermark, text[:40]
    at, offset = 13, watermark
    while at < len(data):
        token, at = varint(data, at)
        if token & 1:
            if token & 2:
                yield from range(offset, offset + (token >> 2))
            offset += token >> 2
            continue
        for byte in data[at:at + (token >> 1)]:
            yield from (offset + bit for bit in range(8) if byte >> bit & 1)
            offset += 8
        at += token >> 1


def varint(data, at):
    value = shift = 0
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1
