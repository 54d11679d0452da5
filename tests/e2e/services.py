"""Services of a test's own: a Redis, and a TCP proxy before a shared service, to be taken away and given back."""
import select
import shutil
import socket
import subprocess
import threading
from urllib.parse import urlsplit

import redis

from worker import die_with_parent, wait_for


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class OwnRedis:
    """A redis-server that keeps its data over kill and start."""

    def __init__(self, folder, *arguments, port=None, start=True):
        self.folder, self.port = folder, port or free_port()
        self.arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder), "--save", "", "--appendonly", "yes",
                          "--appendfsync", "always", "--maxmemory-policy", "noeviction", *arguments]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None
        if start:
            self.start()

    def start(self):
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen([shutil.which("redis-server"), *self.arguments], stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)

    def client(self, **options):
        client = redis.Redis(port=self.port, **options)
        wait_for("Redis answers", 20, lambda: answers(client))
        return client

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(20)
            self.process = None


def answers(client):
    try:
        return client.ping()
    except redis.RedisError:
        return False


class Proxy:
    """Passes TCP on to a service. down(): connections are cut and refused; freeze(): they stay, nothing passes."""

    def __init__(self, target, port=None, up=True):
        self.target, self.port = target, port or free_port()
        self.listener, self.pairs, self.frozen, self.closing = None, {}, False, False
        self.lock = threading.Lock()
        self.woken, self.wake = socket.socketpair()
        if up:
            self.up()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def up(self):
        listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        with self.lock:
            self.listener, self.frozen = listener, False
        self.wake.send(b"x")

    def down(self):
        with self.lock:
            self.listener.close()
            self.listener = None
            for s in self.pairs:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST, as a machine that died
                s.close()
            self.pairs = {}
        self.wake.send(b"x")

    def freeze(self, frozen=True):
        with self.lock:
            self.frozen = frozen
        self.wake.send(b"x")

    def close(self):
        self.closing = True
        if self.listener:
            self.down()
        self.wake.send(b"x")
        self.thread.join(10)

    def accept(self):
        try:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target, 5)
        except OSError:
            return
        self.pairs[client], self.pairs[server] = server, client

    def forward(self, s):
        other = self.pairs[s]
        try:
            data = s.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (s, other):
            self.pairs.pop(end, None)
            end.close()

    def run(self):
        while not self.closing:
            with self.lock:
                watched = [] if self.frozen else [*self.pairs, *([self.listener] if self.listener else [])]
            try:
                readable, _, _ = select.select([self.woken, *watched], [], [], 1)
            except (OSError, ValueError):
                continue  # one of them was closed meanwhile
            if self.woken in readable:
                self.woken.recv(100)
                continue
            with self.lock:
                for s in readable:
                    if s is self.listener:
                        self.accept()
                    elif s in self.pairs:
                        self.forward(s)


def address_of(url, default_port=80):
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.hostname, parts.port or default_port

