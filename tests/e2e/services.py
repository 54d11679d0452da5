"""Services of a test's own, to be taken away, given back, or guarded: Redis, a proxy before a shared service, registry, Kafka."""
import os
import random
import re
import select
import shutil
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import redis
import requests

from places import REPOSITORY, TIME_FACTOR
from worker import die_with_parent, wait_for


def free_port():
    """Below the range that outgoing connections take theirs from (32768): a server that is stopped must find its port free again."""
    return next(port for port in iter(lambda: random.randrange(20000, 26000), None) if is_free(port))


def is_free(port):
    """By bind: a port that an outgoing connection holds refuses callers, and yet cannot be had."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class OwnRedis:
    """A redis-server that keeps its data over kill and start."""

    def __init__(self, folder, *arguments, port=None, start=True):
        self.folder, self.port = folder, port or free_port()
        self.arguments = ["--bind", "127.0.0.1", "127.0.0.2", "--port", str(self.port), "--dir", str(folder), "--save", "", "--appendonly", "yes",
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


class Certificates:
    """A certificate authority and a server's certificate for 127.0.0.1, made by openssl."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.ca, self.key, self.certificate = folder / "ca.pem", folder / "server.key", folder / "server.pem"
        self.both = folder / "both.pem"
        ca_key, request, names = folder / "ca.key", folder / "request.pem", folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        for command in ([*new, "-x509", "-keyout", ca_key, "-out", self.ca, "-subj", "/CN=e2e authority"],
                        [*new, "-keyout", self.key, "-out", request, "-subj", "/CN=127.0.0.1"],
                        ["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
                         "-extfile", names, "-out", self.certificate]):
            subprocess.run(command, check=True, capture_output=True)
        self.both.write_text(self.key.read_text() + self.certificate.read_text())


class RegistryFront:
    """Passes requests on to the registry, except those that `refuse` answers: (status, JSON), or None."""

    def __init__(self, target, refuse):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if refusal := refuse(self):
                    status, kind, text = refusal[0], "application/json", refusal[1]
                else:
                    answer = requests.request(self.command, target + self.path, data=body, timeout=20,
                                              headers={"Content-Type": self.headers.get("Content-Type") or "application/json"})
                    status, kind, text = answer.status_code, answer.headers.get("Content-Type", ""), answer.content
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = serve

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class GuardedRegistry(RegistryFront):
    """Lets in who carries the right Authorization; answers 401 else."""

    def __init__(self, target, authorization):
        self.seen, self.authorization = [], authorization
        super().__init__(target, self.refuse)

    def refuse(self, request):
        self.seen.append(request.headers.get("Authorization"))
        return None if self.seen[-1] == self.authorization else (401, b'{"error_code":40101,"message":"Unauthorized"}')


class HoldingRegistry(RegistryFront):
    """Cannot say (503) what the schema ids in `held` mean: their records are stuck until it can."""

    def __init__(self, target):
        self.held = set()
        super().__init__(target, self.refuse)

    def refuse(self, request):
        asked = re.search(r"/schemas/ids/(\d+)", request.path)
        return (503, b'{"error_code":50301,"message":"Not now"}') if asked and int(asked[1]) in self.held else None


class OwnStack:
    """A stack of the test's own, by tools/stack; `broker_config`: further settings of its broker, made from its ports."""

    def __init__(self, folder, broker_config=None, brokers=1):
        ports = [*(29092 + 10 * n + i for n in range(brokers) for i in range(3)), 28081, 26379]
        offset = next(o for o in iter(lambda: random.randrange(100, 3600), None)  # all below 32768, as for free_port()
                      if all(is_free(port + o) for port in ports))
        self.plain = ",".join(f"127.0.0.1:{29092 + 10 * n + offset}" for n in range(brokers))
        self.secure = f"127.0.0.1:{29094 + offset}"
        folder.mkdir()
        self.environment = {**os.environ, "STEPMILL_STACK_DIR": str(folder / "stack"), "STEPMILL_STACK_PORT_OFFSET": str(offset)}
        if broker_config:
            config = folder / "broker"
            config.write_text(broker_config(self.plain, self.secure, f"127.0.0.1:{29093 + offset}"))
            self.environment["STEPMILL_STACK_BROKER_CONFIG"] = str(config)
        self.call("up", "--brokers", str(brokers))

    def call(self, *arguments):
        done = subprocess.run([REPOSITORY / "tools" / "stack", *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=120 * TIME_FACTOR, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self):
        self.call("down", "--wipe")
