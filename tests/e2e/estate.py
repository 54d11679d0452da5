"""A day of a busy team's dead letters, as records in Kafka: some by a real worker, most with the headers that it writes."""
import random
import time

from letters import letter_headers, produce
from records import new_task
from worker import wait_for

DAY_MS = 86_400_000
# class, code, message; how often of a hundred
CAUSES = [
    ("exhausted", "model_http_503", "the model answered 503: Service Unavailable; request {a} was the fifth attempt", 34),
    ("timeout", "deadline", "the agent's deadline of {b} s passed while the model was asked", 22),
    ("rejected", "model_http_400", "the model refused the request: context of {a} tokens is longer than 128000", 14),
    ("exhausted", "tool_failed", "tool look_up_invoice: connection refused by 10.0.{b}.{b}:8443", 12),
    ("poison", "bad_utf8", "the field prompt is not UTF-8 at byte {a}", 8),
    ("rejected", "model_http_401", "the model answered 401: Incorrect API key provided", 6),
    ("exhausted", "tool_timeout", "tool send_mail did not answer within {b} s", 4),
]
AGENTS = ["search", "billing", "planner", "mailer"]
PROMPT = "Find the invoices of customer {a} that are {b} days late and mail their sum to accounting."


def day_of_letters(world, count, seed=7, first=0):
    """Their records, oldest first; the ids have offsets that no task of a test has."""
    chance, now = random.Random(seed), int(time.time() * 1000)
    records = []
    ages = sorted((int(DAY_MS * chance.random() ** 1.6 * 0.98) + 60_000 for _ in range(count)), reverse=True)
    run = world.name[-4:]
    for i, age in enumerate(ages, first):
        klass, code, message, _ = chance.choices(CAUSES, [c[3] for c in CAUSES])[0]
        a, b = chance.randrange(10_000, 999_999), chance.randrange(10, 90)
        agent = AGENTS[min(3, i * i % 7)]
        task = new_task(PROMPT.format(a=a, b=b), task_id=f"invoice-{run}-{i:06d}", session=f"customer-{run}-{i // 7:05d}", agent=agent)
        headers = letter_headers(world, 1_000_000 + i, task=task["task_id"], agent=agent, klass=klass, code=code,
                                 message=message.format(a=a, b=b), failed_at=now - age)
        headers += [("stepmill.session_id", task["session_id"].encode()), ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
        records.append((world.topic("dlq"), task["session_id"].encode(), world.encode(task, agent), headers))
    return records


def put_day(world, count, **more):
    produce(day_of_letters(world, count, **more))


def letters_of_worker(world, *prompts):
    """Tasks that a real worker gives up; returns their letters' ids in the same order."""
    tasks = [new_task(prompt) for prompt in prompts]
    world.submit(*tasks)
    ids = {}

    def all_there(records):
        ids.update({r.header("stepmill.task_id"): r.header("stepmill.id") for r in records})
        return all(t["task_id"] in ids for t in tasks)

    world.dlq.until(all_there, 60)
    return [ids[t["task_id"]] for t in tasks]


def known(processor, count):
    """Waits until the processor decides and has read so many letters."""
    processor.engine()
    wait_for(f"{count} letters are known", 90, lambda: processor.metric("stepmill_dlq_letters") >= count)
    return processor


def busy_world(make_shared_world, count):
    """A world of these agents with a day's letters and a worker."""
    world = make_shared_world(agents={agent: {} for agent in AGENTS}, models={"primary": {"price": {"prompt": 2.5, "completion": 10}}})
    put_day(world, count)
    world.start()
    return world
