"""A world of its own for a test: topics, subjects, Redis keys, fakes, a config, and any number of workers."""
import json
import subprocess
from collections import defaultdict

import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from fakes_client import Fakes

from places import KAFKA, REDIS, REGISTRY, STEPMILL, TIME_FACTOR
from records import TASK_SCHEMA, Reader, Schemas, Writer, encode, new_task
from worker import Worker, wait_for

LOOK_PARAMETERS = {"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}}


def merge(base, changes):
    """`base` with `changes` laid over it; None takes a key away."""
    for key, value in changes.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


class World:
    """Agents, models and tools: name → changes of their defaults. `broker`: where the tests themselves find Kafka, if it is not the
    stack's. `sections`: changes of any section of the config."""

    def __init__(self, name, folder, *, agents=None, models=None, tools=None, partitions=4, fakes=(), broker=KAFKA, **sections):
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.folder = name, folder
        self.fakes = Fakes(*fakes)
        self.url = f"http://127.0.0.1:{self.fakes.port}"
        self.partitions = partitions
        self.workers, self.closers = [], []
        self.agents = list(agents or {"search": {}})
        self.broker = broker
        self.schemas, self.writer = Schemas(), Writer(broker)
        self.redis = redis.Redis.from_url(REDIS)
        self.readers = {}
        self.write_tools(tools or {"look": {}})
        self.settings = merge(self.defaults(agents or {"search": {}}, models or {"primary": {}}), sections)
        self.config = self.write_config()

    # ---- what is configured

    def topic(self, name):
        return f"{self.name}.{name}"

    def tasks_topic(self, agent="search"):
        return f"{self.name}.tasks.{agent}"

    def defaults(self, agents, models):
        first = next(iter(models))
        return {
            # a dead member is noticed sooner than by default
            "kafka": {"bootstrap.servers": self.broker, "group.id": self.name, "session.timeout.ms": "6000",
                      "heartbeat.interval.ms": "1000"},
            "schema_registry": {"url": REGISTRY},
            "redis": {"url": REDIS, "prefix": f"{self.name}:"},
            "http": {"listen": "127.0.0.1:0"},
            "agents": {agent: merge({"system_prompt": "You help.", "models": [first], "tools": ["look"], "session_token_budget": 0,
                                     "token_budget": 32768}, changes) for agent, changes in agents.items()},
            "models": {model: merge({"url": f"{self.url}/v1", "model": model, "key": "${STEPMILL_E2E_KEY}", "timeout": "60s"},
                                    changes) for model, changes in models.items()},
            "tool_definitions": str(self.folder / "definitions"),
            "topics": {"tasks_prefix": f"{self.name}.tasks.", "results": self.topic("results"), "events": self.topic("events"),
                       "dlq": self.topic("dlq"), "dlq_actions": self.topic("dlq.actions"),
                       "definitions": self.topic("definitions"), "partitions": self.partitions, "replication": 1},
            "retry": {"model": {"backoff_min": "20ms", "backoff_max": "100ms"}, "tool": {"backoff_min": "20ms", "backoff_max": "100ms"}},
        }

    def write_tools(self, tools):
        folder = self.folder / "definitions"
        folder.mkdir()
        for name, changes in tools.items():
            tool = {"name": name, "version": "1.0.0", "description": f"{name} something", "parameters": LOOK_PARAMETERS,
                    "endpoint": f"{self.url}/tools/{name}", "auth_type": "none", "timeout_ms": 5000, "repeatable": True}
            (folder / f"{name}.json").write_text(json.dumps(merge(tool, changes)), encoding="utf-8")

    def write_config(self, name="stepmill.yaml", **sections):
        """Writes the config with these changes (JSON is YAML) and returns its path."""
        settings = merge(json.loads(json.dumps(self.settings)), sections)
        path = self.folder / name
        path.write_text(json.dumps(settings, indent=2), encoding="utf-8")
        return path

    # ---- what runs

    def stepmill(self, *arguments, expect=0, stdin=None, config=None):
        """Runs a command; returns the finished process with its output as text."""
        done = subprocess.run([STEPMILL, *arguments, "--config", str(config or self.config)], input=stdin, text=True,
                              capture_output=True, timeout=120 * TIME_FACTOR, check=False)
        assert expect is None or done.returncode == expect, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def create(self, config=None):
        self.stepmill("topics", "create", config=config)
        self.stepmill("schemas", "register", config=config)

    def start(self, config=None, ready=True, *arguments):
        worker = Worker(config or self.config, self.folder / f"worker-{len(self.workers)}.log", *arguments)
        self.workers.append(worker)
        return worker.ready() if ready else worker

    # ---- tasks in, records out

    def task_schema_id(self, agent="search"):
        subject = f"{self.tasks_topic(agent)}-value"
        self.schemas.known.setdefault(subject, None)
        if self.schemas.known[subject] is None:
            self.schemas.known[subject] = self.schemas.latest(subject)["id"]
        return self.schemas.known[subject]

    def encode(self, task, agent="search"):
        return encode(self.task_schema_id(agent), TASK_SCHEMA, task)

    def submit(self, *tasks, headers=(), partition=None):
        """Produces tasks in this order; returns the places of the records."""
        for task in tasks:
            agent = task["target_agent"]
            self.writer.send(self.tasks_topic(agent), task["session_id"], self.encode(task, agent), headers, partition)
        return self.writer.flush()

    def reader(self, name):
        if name not in self.readers:
            self.readers[name] = Reader(self.topic(name), self.schemas, self.broker)
        return self.readers[name]

    @property
    def results(self):
        return self.reader("results")

    @property
    def events(self):
        return self.reader("events")

    @property
    def dlq(self):
        return self.reader("dlq")

    def result_of(self, task, seconds=30):
        """The one result of this task that there is when there is one."""
        task_id = task if isinstance(task, str) else task["task_id"]
        self.results.until(lambda _: self.results.of_task(task_id), seconds)
        found = self.results.of_task(task_id)
        assert len(found) == 1, found
        return found[0].data

    def history_of(self, task):
        """The task's events by seq, those sent twice once; they must be there."""
        task_id = task if isinstance(task, str) else task["task_id"]
        return events_by_task(self.events.all())[task_id]

    def run(self, *tasks, seconds=30, headers=()):
        """Produces tasks and waits for their results; returns them in the order of the tasks."""
        self.submit(*tasks, headers=headers)
        return [self.result_of(task, seconds) for task in tasks]

    def one(self, prompt="Do it.", seconds=30, headers=(), **fields):
        """One task from prompt to result: (task, result)."""
        task = new_task(prompt, **fields)
        return task, self.run(task, seconds=seconds, headers=headers)[0]

    # ---- what others see

    def lag(self):
        """Records of all agents that the group has not finished."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": self.settings["kafka"]["group.id"],
                             "isolation.level": "read_committed"})
        try:
            lag = 0
            for agent in self.agents:
                topic = self.tasks_topic(agent)
                partitions = [TopicPartition(topic, p) for p in consumer.list_topics(topic, 20).topics[topic].partitions]
                for p in consumer.committed(partitions, timeout=20):
                    low, high = consumer.get_watermark_offsets(p, timeout=20)
                    lag += high - max(p.offset, low)
            return lag
        finally:
            consumer.close()

    def settled(self, seconds=30):
        """Waits until every record is finished."""
        wait_for("lag 0", seconds, lambda: self.lag() == 0)

    def calls(self, task=""):
        """What the fakes counted, per Idempotency-Key."""
        task_id = task["task_id"] if isinstance(task, dict) else task
        return self.fakes.get(f"/fakes/calls?prefix={task_id}/" if task_id else "/fakes/calls")["calls"]

    def requests(self, task):
        """The model's requests of a task, in the order they came."""
        found = self.fakes.get(f"/fakes/requests?prefix={task['task_id']}/&last=100")["requests"]
        return [dict(r, body=json.loads(r["body"]) if isinstance(r["body"], str) else r["body"])
                for r in found if r["path"].endswith("/chat/completions")]

    def key(self, name):
        return f"{self.name}:{name}"

    # ---- the end

    def close(self):
        """Stops all and cleans up; returns what is wrong."""
        troubles = [trouble for worker in self.workers for trouble in worker.close()]
        for worker in self.workers:
            worker.show_end()
        for reader in self.readers.values():
            reader.close()
        if (code := self.fakes.stop()) != 0:
            troubles.append(f"the fakes ended with {code}")
        self.clean()
        for closer in self.closers:
            closer()
        return troubles

    def clean(self):
        topics = [*(self.tasks_topic(agent) for agent in self.agents),
                  *(self.topic(t) for t in ("results", "events", "dlq", "dlq.actions", "definitions"))]
        admin = AdminClient({"bootstrap.servers": self.broker})
        deleted = admin.delete_topics(topics, operation_timeout=0)
        keys = list(self.redis.scan_iter(f"{self.name}:*", count=1000))
        for at in range(0, len(keys), 1000):
            self.redis.unlink(*keys[at:at + 1000])
        self.redis.close()
        for future in deleted.values():
            future.exception(20)  # a topic that was never made is no trouble


def set_topic(name, setting, value):
    """Returns when the broker tells the new value: it acknowledges the change before."""
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": KAFKA})

    def now():
        done, = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
        return done.result(20)[setting].value

    done, = admin.incremental_alter_configs([resource]).values()
    done.result(20)
    wait_for(f"{name} has {setting} {value}", 20, lambda: now() == value)


def events_by_task(records):
    """task_id → its events by seq. Events leave at least once: equal ce_id means the same event."""
    tasks = defaultdict(dict)
    for r in records:
        tasks[r.data["task_id"]].setdefault(r.header("ce_id"), r)
    return {task_id: sorted(seen.values(), key=lambda r: r.data["seq"]) for task_id, seen in tasks.items()}
