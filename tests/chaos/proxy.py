"""The lab's TCP proxy: a process of its own that stands on every link of the workers and does to it what it is told, line by line."""
import asyncio
import collections
import json
import random
import socket
import struct
import sys
import time

from frames import TXN_OFFSET_COMMIT, Frames

UP, DOWN = "up", "down"  # to the service, from the service
HIGH, LOW = 4 << 20, 1 << 20
ENDTXN = 26


def reset(transport):
    """Ends a connection as a machine that died would: RST, not FIN."""
    sock = transport.get_extra_info("socket")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    transport.abort()


class Flow:
    """One direction of one connection: bytes leave in the order they came, late if told so."""

    def __init__(self, pair, way):
        self.pair, self.way = pair, way
        self.queue, self.size, self.last = collections.deque(), 0, 0.0
        self.held, self.discard, self.delay, self.timer = False, False, (0.0, 0.0), None
        self.ended = False

    def feed(self, data):
        if self.discard:
            return
        now = time.monotonic()
        low, high = self.delay
        due = max(self.last, now + random.uniform(low, high)) if high else now
        self.last = due
        if self.held or self.queue or due > now:
            self.queue.append((due, data))
            self.size += len(data)
            if self.size > HIGH:
                self.pair.stop_reading(self.way)
            self.plan()
        else:
            self.pair.write(self.way, data)

    def end(self):
        self.ended = True
        self.plan()

    def plan(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if not self.held:
            self.drain()

    def drain(self):
        now = time.monotonic()
        while self.queue and not self.held and self.queue[0][0] <= now:
            _, data = self.queue.popleft()
            self.size -= len(data)
            self.pair.write(self.way, data)
        if self.size < LOW:
            self.pair.go_on_reading(self.way)
        if self.queue and not self.held:
            self.timer = asyncio.get_running_loop().call_later(self.queue[0][0] - now + 0.001, self.plan)
        elif not self.queue and self.ended and not self.held:
            self.pair.write_end(self.way)

    def hold(self, held=True):
        self.held = held
        self.plan()


class End(asyncio.Protocol):
    """One end of a connection: the client's, or ours to the service."""

    def __init__(self, pair, way):
        self.pair, self.way, self.transport = pair, way, None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pair.made(self)

    def data_received(self, data):
        self.pair.received(self.way, data)

    def eof_received(self):
        self.pair.flows[self.way].end()
        return True

    def connection_lost(self, _):
        self.pair.lost(self)

    def pause_writing(self):
        self.pair.stop_reading(UP if self.way == DOWN else DOWN)

    def resume_writing(self):
        self.pair.go_on_reading(UP if self.way == DOWN else DOWN)


class Pair:
    """One connection through the proxy."""

    def __init__(self, link):
        self.link = link
        self.client, self.server = End(self, UP), End(self, DOWN)
        self.flows = {UP: Flow(self, UP), DOWN: Flow(self, DOWN)}
        self.frames = Frames(self.request) if link.kafka else None
        self.early, self.late, self.closed = [], False, False

    def made(self, end):
        if end is self.client:
            self.link.pairs.add(self)
            asyncio.ensure_future(self.connect())
            self.link.apply_to_new(self)
        else:
            for data in self.early:
                end.transport.write(data)
            self.early = []

    async def connect(self):
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.server, *self.link.target)
        except OSError:
            self.cut()

    def received(self, way, data):
        if way == UP and self.frames:
            self.frames.feed(data)
        self.flows[way].feed(data)

    def request(self, api, head):
        self.link.request(self, api, head)

    def write(self, way, data):
        end = self.server if way == UP else self.client
        if end.transport and not end.transport.is_closing():
            end.transport.write(data)
        elif way == UP and not self.server.transport and not self.closed:
            self.early.append(data)

    def write_end(self, way):
        end = self.server if way == UP else self.client
        if end.transport and not end.transport.is_closing() and end.transport.can_write_eof():
            try:
                end.transport.write_eof()
            except OSError:
                pass
        if all(f.ended and not f.queue for f in self.flows.values()):
            self.close()

    def stop_reading(self, way):
        end = self.client if way == UP else self.server
        if end.transport and not end.transport.is_closing():
            end.transport.pause_reading()

    def go_on_reading(self, way):
        end = self.client if way == UP else self.server
        if end.transport and not end.transport.is_closing():
            end.transport.resume_reading()

    def lost(self, end):
        if self.late and end is self.client:
            return  # what it sent last is still to be delivered
        other = self.server if end is self.client else self.client
        if other.transport and not other.transport.is_closing():
            other.transport.close()
        self.close()

    def close(self):
        self.closed = True
        self.link.pairs.discard(self)
        for end in (self.client, self.server):
            if end.transport and not end.transport.is_closing():
                end.transport.close()

    def cut(self):
        self.closed = True
        self.link.pairs.discard(self)
        for end in (self.client, self.server):
            if end.transport:
                reset(end.transport)

    def reset_client(self):
        if self.client.transport:
            reset(self.client.transport)

    def deliver_late(self, seconds):
        """The client is cut off and will connect anew; what it had sent here reaches the service `seconds` later."""
        loop = asyncio.get_running_loop()
        self.late = True
        self.flows[DOWN].discard = True
        self.flows[UP].hold()
        loop.call_later(0.5, self.reset_client)
        loop.call_later(seconds, self.flows[UP].hold, False)
        loop.call_later(seconds + 1, self.close)


class Link:
    """A port of the proxy and the service behind it. `faults`: those under way, new connections get them too."""

    def __init__(self, name, port, target, kafka):
        self.name, self.port, self.target, self.kafka = name, port, target, kafka
        self.pairs, self.faults, self.listener = set(), [], None
        self.armed = None
        self.counts = collections.Counter()

    async def open(self):
        if not self.listener:
            loop = asyncio.get_running_loop()
            self.listener = await loop.create_server(lambda: self.new().client, "127.0.0.1", self.port, backlog=500)

    def new(self):
        self.counts["connections"] += 1
        return Pair(self)

    def shut(self):
        if self.listener:
            self.listener.close()
            self.listener = None

    def cut(self, share=1.0):
        for pair in list(self.pairs):
            if random.random() < share:
                pair.cut()

    def apply_to_new(self, pair):
        for fault in self.faults:
            if fault["do"] in ("delay", "hold", "drop") and random.random() < fault["share"]:
                self.strike(pair, fault)

    @staticmethod
    def ways(fault):
        return (UP, DOWN) if fault["dir"] == "both" else (fault["dir"],)

    def strike(self, pair, fault):
        fault.setdefault("struck", []).append(pair)
        for way in self.ways(fault):
            flow = pair.flows[way]
            if fault["do"] == "delay":
                flow.delay = (fault["low"], fault["high"])
            elif fault["do"] == "hold":
                flow.hold()
            elif fault["do"] == "drop":
                flow.discard = True
            elif fault["do"] == "half_close":
                flow.end()
                flow.discard = True

    def release(self, fault):
        if fault not in self.faults:
            return
        self.faults.remove(fault)
        for pair in fault.get("struck", []):
            if pair.closed:
                continue
            if fault["do"] in ("drop", "half_close"):
                pair.cut()  # bytes are missing: nobody could go on with it
                continue
            for way in self.ways(fault):
                pair.flows[way].delay = (0.0, 0.0)
                pair.flows[way].hold(False)

    def begin(self, fault):
        loop = asyncio.get_running_loop()
        kind = fault["do"]
        chosen = [p for p in list(self.pairs) if random.random() < fault["share"]]
        self.counts[kind] += 1
        if kind == "cut":
            for pair in chosen:
                pair.cut()
        elif kind == "refuse":
            self.shut()
            self.cut()
            loop.call_later(fault["for"], lambda: asyncio.ensure_future(self.open()))
        elif kind == "late":
            for pair in chosen:
                pair.deliver_late(fault["for"])
        elif kind == "endtxn":
            self.armed = fault
            loop.call_later(fault["window"], self.disarm, fault)
        else:
            self.faults.append(fault)
            for pair in chosen:
                self.strike(pair, fault)
            loop.call_later(fault["for"], self.release, fault)
        return len(chosen)

    def disarm(self, fault):
        if self.armed is fault:
            self.armed = None

    def request(self, pair, api, head):
        """A Kafka request passes: count what must never be, and do what is armed for the end of a transaction."""
        if api == TXN_OFFSET_COMMIT:
            self.counts["generations unread" if head.generation is None else "generations read"] += 1
            self.counts["negative_generation"] += head.generation is not None and head.generation < 0
        if api != ENDTXN:
            return
        self.counts["endtxn_seen"] += 1
        if not self.armed:
            return
        fault, self.armed = self.armed, None
        self.counts[f"endtxn_{fault['mode']}"] += 1
        say({"struck": self.name, "mode": fault["mode"], "for": fault["for"]})
        if fault["mode"] == "reply":
            pair.flows[DOWN].hold()
            asyncio.get_running_loop().call_later(fault["for"], pair.flows[DOWN].hold, False)
        elif fault["mode"] == "lost":
            pair.flows[DOWN].discard = True
            asyncio.get_running_loop().call_later(fault["for"], pair.cut)
        else:
            pair.deliver_late(fault["for"])

    async def heal(self):
        for fault in list(self.faults):
            self.release(fault)
        self.armed = None
        for pair in list(self.pairs):
            for flow in pair.flows.values():
                flow.delay = (0.0, 0.0)
                flow.hold(False)
        await self.open()


def say(message):
    print(json.dumps(message), flush=True)


async def obey(links, command):
    kind = command["do"]
    if kind == "link":
        link = Link(command["link"], command["port"], tuple(command["target"]), command["kafka"])
        links[link.name] = link
        await link.open()
    elif kind == "heal":
        for link in links.values():
            await link.heal()
    elif kind == "target":
        links[command["link"]].target = tuple(command["target"])
        links[command["link"]].cut()
    elif kind == "counts":
        return {name: dict(link.counts, open=len(link.pairs)) for name, link in links.items()}
    else:
        return links[command["link"]].begin({"share": 1.0, "dir": "both", **command})
    return True


async def main():
    links = {}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    random.seed(int(sys.argv[1]))
    while line := await reader.readline():
        say({"done": await obey(links, json.loads(line))})


asyncio.run(main())
