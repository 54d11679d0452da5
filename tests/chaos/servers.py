"""The services of the lab as processes it can kill, stop and start: brokers, registry, two Redis, fakes, the proxy."""
import ctypes
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import redis

from ground import BROKERS, FAKES_PORT, HOST, PLAIN, PROXY, REDIS_PORTS, REGISTRY_API, REGISTRY_PORT, REPOSITORY

JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
CLUSTER_ID = "c3RlcG1pbGwtY2hhb3MtMQ"
DISK_MIB = 3072  # of the broker whose disk can be full; it grows as it is filled


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def wait_until(what, seconds, condition, pause=0.1):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(pause)
    return found


def port_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((HOST, port)) == 0


class Server:
    """A process that may be killed, stopped and started again; its log goes on."""

    def __init__(self, name, folder, command, environment=None):
        self.name, self.folder, self.command = name, folder, [str(c) for c in command]
        self.environment = {**os.environ, **(environment or {})}
        self.process, self.halted = None, False
        folder.mkdir(parents=True, exist_ok=True)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.halted = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait(30)
        self.halted = False

    def halt(self):
        self.signal(signal.SIGSTOP)
        self.halted = True

    def go_on(self):
        self.signal(signal.SIGCONT)
        self.halted = False

    def end(self, seconds=20):
        """SIGTERM, then SIGKILL; the exit code."""
        if not self.alive():
            return None
        self.go_on()
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


def broker_settings(n, data):
    voters = ",".join(f"{i}@{HOST}:{PLAIN[i] + 1}" for i in BROKERS)
    return f"""process.roles=broker,controller
node.id={n}
controller.quorum.voters={voters}
listeners=PLAIN://{HOST}:{PLAIN[n]},CONTROLLER://{HOST}:{PLAIN[n] + 1},PROXIED://{HOST}:{PLAIN[n] + 2}
advertised.listeners=PLAIN://{HOST}:{PLAIN[n]},PROXIED://{HOST}:{PROXY[f'kafka-{n}']}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=6
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=6
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
"""


class Broker(Server):
    """One of three Kafka nodes, broker and controller in one. The last has a small disk of its own, if this machine allows a mount."""

    def __init__(self, n, folder, libs, heap):
        log4j = REPOSITORY / "tools" / "kafka-libs" / "log4j2.properties"
        self.java = ["java", *JAVA, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{libs}/*"]
        super().__init__(f"broker-{n}", folder, ["java", f"-Xmx{heap}", *self.java[1:], "kafka.Kafka", "server.properties"])
        self.n, self.data, self.disk = n, folder / "data", None
        if n == BROKERS[-1]:
            self.mount()
        (folder / "server.properties").write_text(broker_settings(n, self.data / "logs"), encoding="utf-8")

    def mount(self):
        self.data.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "stepmill-chaos", self.data], capture_output=True, check=False)
        self.disk = self.data if done.returncode == 0 else None

    def resize(self, mebibytes):
        subprocess.run(["mount", "-o", f"remount,size={mebibytes}m", self.disk], check=True)

    def fill_disk(self):
        """Leaves no page free."""
        used = os.statvfs(self.disk)
        used = (used.f_blocks - used.f_bfree) * used.f_frsize
        self.resize((used >> 20) + 1)
        size = os.statvfs(self.disk)
        with open(self.disk / "filler", "wb") as f:
            f.write(b"\0" * max(size.f_bfree * size.f_frsize - 4096, 0))

    def free_disk(self):
        self.resize(DISK_MIB)
        (self.disk / "filler").unlink(missing_ok=True)

    def format(self):
        with open(self.folder / "format.log", "wb") as log:
            return subprocess.Popen([*self.java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", "server.properties"],
                                    cwd=self.folder, stdout=log, stderr=log)

    def close(self):
        self.kill()
        if self.disk:
            subprocess.run(["umount", "-l", self.disk], capture_output=True, check=False)


class Registry(Server):
    def __init__(self, folder, home):
        jar = next(home.glob("apicurio-registry-app-*-runner.jar"))
        super().__init__("registry", folder, ["java", "-Xmx256m", *JAVA, f"-Dquarkus.http.host={HOST}", f"-Dquarkus.http.port={REGISTRY_PORT}",
                                              f"-Dapicurio.datasource.url=jdbc:h2:file:{folder}/data",
                                              "-Dquarkus.http.access-log.enabled=false", "-jar", jar])

    @staticmethod
    def answers():
        try:
            return urllib.request.urlopen(f"http://{HOST}:{REGISTRY_PORT}{REGISTRY_API}/subjects", timeout=3).status == 200
        except OSError:
            return False


class Redis(Server):
    """Every write is in the kernel's hands before it is acknowledged, so a kill loses nothing."""

    def __init__(self, folder, port):
        super().__init__(f"redis-{port}", folder, [
            shutil.which("redis-server"), "--bind", HOST, "--port", port, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
            "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0", "--repl-timeout", "10"])
        self.port = port
        self.client = redis.Redis(port=port, socket_timeout=3, socket_connect_timeout=2)

    def answers(self):
        try:
            return self.client.ping()
        except redis.RedisError:
            return False


class RedisPair:
    """A primary and its replica; which is which changes."""

    def __init__(self, folder):
        self.both = [Redis(folder / f"redis-{port}", port) for port in REDIS_PORTS]
        self.primary, self.replica = self.both

    def start(self):
        for server in self.both:
            server.start()
        for server in self.both:
            wait_until(f"{server.name} answers", 30, server.answers)
        self.follow()

    def follow(self):
        """The second copies the first. A killed one comes back as a primary: it must not stay one."""
        try:
            self.replica.client.replicaof(HOST, self.primary.port)
        except redis.RedisError:
            pass  # it is down or stopped: in_step sees it

    def in_step(self):
        try:
            info = self.replica.client.info("replication")
        except redis.RedisError:
            return False
        if info["role"] != "slave":
            self.follow()
        return info["role"] == "slave" and info["master_link_status"] == "up" and info["master_port"] == self.primary.port

    def restart(self, server):
        server.start()
        wait_until(f"{server.name} answers", 60, server.answers)
        if server is self.replica:
            self.follow()

    def promote(self):
        self.replica.client.replicaof("NO", "ONE")
        self.primary, self.replica = self.replica, self.primary

    def close(self):
        for server in self.both:
            server.kill()


class Proxy(Server):
    """The proxy process; `do` tells it something and waits for the answer."""

    def __init__(self, folder, seed, python):
        super().__init__("proxy", folder, [python, str(REPOSITORY / "tests" / "chaos" / "proxy.py"), str(seed)])
        self.answers, self.lock, self.struck = queue.Queue(), threading.Lock(), []

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            preexec_fn=die_with_parent)
        threading.Thread(target=self.listen, daemon=True).start()
        for name, port in PROXY.items():
            self.do("link", name, port=port, target=[HOST, self.target(name)], kafka=name.startswith("kafka"))

    @staticmethod
    def target(name):
        if name.startswith("kafka"):
            return PLAIN[int(name[-1])] + 2
        return {"registry": REGISTRY_PORT, "redis": REDIS_PORTS[0], "model": FAKES_PORT, "tools": FAKES_PORT}[name]

    def listen(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "done" in message:
                self.answers.put(message["done"])
            else:
                self.struck.append((time.time(), message))

    def do(self, what, link=None, **more):
        with self.lock:
            self.process.stdin.write(json.dumps({"do": what, "link": link, **more}) + "\n")
            self.process.stdin.flush()
            return self.answers.get(timeout=20)


class Fakes(Server):
    def __init__(self, folder, program, seed):
        super().__init__("fakes", folder, [program, "--listen", f"{HOST}:{FAKES_PORT}", "--model-latency", "100ms..600ms", "--tool-latency",
                                           "10ms..150ms", "--seed", seed, "--calls-memory", "1024", "--record", "0"])

    @staticmethod
    def get(path):
        with urllib.request.urlopen(f"http://{HOST}:{FAKES_PORT}{path}", timeout=60) as answer:
            return json.loads(answer.read())
