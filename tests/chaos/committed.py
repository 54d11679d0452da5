"""Reads what the workers commit beside an offset: the finished set above the watermark (DELIVERY §4.11), by code of the lab's own."""
import base64

LIMIT = 4000  # characters


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def finished_above(watermark, text):
    """The finished offsets above the watermark; ValueError says what is wrong with the text."""
    if not text:
        return frozenset()
    if len(text) > LIMIT:
        raise ValueError(f"{len(text)} characters, over the limit of {LIMIT}")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if data[0] != 1 or int.from_bytes(data[1:9], "little") != watermark:
        raise ValueError(f"made for {data[0]}/{int.from_bytes(data[1:9], 'little')}, stands beside {watermark}")
    if int.from_bytes(data[9:13], "little") != crc32c(data[13:]):
        raise ValueError("its checksum differs")
    found, offset, at = set(), watermark, 13
    while at < len(data):
        token, at = varint(data, at)
        if token & 1:
            if token & 2:
                found.update(range(offset, offset + (token >> 2)))
            offset += token >> 2
            continue
        for byte in data[at:at + (token >> 1)]:
            found.update(offset + i for i in range(8) if byte >> i & 1)
            offset += 8
        at += token >> 1
    return frozenset(found)


class Finished:
    """What is finished of one partition, as last read; `take` says what shrank, or None."""

    def __init__(self):
        self.watermark, self.above = 0, frozenset()

    def __contains__(self, offset):
        return offset < self.watermark or offset in self.above

    def take(self, watermark, text):
        above = finished_above(watermark, text)
        trouble = None
        if watermark < self.watermark:
            trouble = f"the watermark fell from {self.watermark} to {watermark}"
        else:
            lost = sorted(o for o in self.above if o >= watermark and o not in above)
            if lost:
                trouble = f"finished above {watermark}: {lost[:5]} went away ({len(lost)} in all)"
        self.watermark, self.above = watermark, above
        return trouble
