"""Cuts what a Kafka client sends into requests and reads the little of them that the lab needs."""
import struct

HEAD = 600  # bytes kept of a request: its header and the first fields
TXN_OFFSET_COMMIT = 28


class Head:
    """The beginning of one request."""

    def __init__(self, data):
        self.api, self.version = struct.unpack(">hh", data[:4])
        self.generation = generation_of(data, self.version) if self.api == TXN_OFFSET_COMMIT else None


def compact_string(data, at):
    """The position behind it; its length is a varint, plus one."""
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return at + max(length - 1, 0)


def generation_of(data, version):
    """Of a TxnOffsetCommit, where it names one (version 3 and later, all of them flexible)."""
    if version < 3:
        return None
    try:
        client_id, = struct.unpack(">h", data[8:10])
        at = 10 + max(client_id, 0)
        assert data[at] == 0, "no tagged fields are expected in a request's header"
        at = compact_string(data, at + 1)  # transactional id
        at = compact_string(data, at)  # group
        at += 8 + 2  # producer id and epoch
        return struct.unpack(">i", data[at:at + 4])[0]
    except (IndexError, struct.error):
        return None


class Frames:
    """Calls `tell(api, head)` for each request when its beginning is there."""

    def __init__(self, tell):
        self.tell, self.start, self.left = tell, b"", 0

    def feed(self, data):
        at = 0
        while at < len(data):
            if self.left > 0 and not self.start:  # the rest of a request that is told already
                step = min(self.left, len(data) - at)
                self.left -= step
                at += step
                continue
            at = self.begin(data, at)

    def begin(self, data, at):
        """Collects a request's size and beginning; returns how far it read."""
        if len(self.start) < 4:
            step = min(4 - len(self.start), len(data) - at)
            self.start += data[at:at + step]
            if len(self.start) == 4:
                self.left, = struct.unpack(">i", self.start)
            return at + step
        step = min(self.left, HEAD - (len(self.start) - 4), len(data) - at)
        self.start += data[at:at + step]
        self.left -= step
        if self.left == 0 or len(self.start) - 4 == HEAD:
            head = Head(self.start[4:])
            self.start = b""
            self.tell(head.api, head)
        return at + step
