"""The schedule of a run, made from its seed alone: what happens when. What a name like "leader of partition 3" means is found out then."""
import random
from collections import namedtuple

Step = namedtuple("Step", "at kind chance_seed")  # seconds of fault time from the start

KILLS_AND_STOPS = {"worker_kill", "worker_stop", "worker_term", "rolling_restart", "broker_kill", "broker_stop", "broker_term", "disk_full",
                   "registry_kill", "registry_stop", "redis_kill", "redis_stop", "redis_failover", "redis_dirty_failover"}
WEIGHTS = {
    "worker_kill": 8, "worker_stop": 8, "worker_term": 4, "rolling_restart": 1, "reload": 3, "clock_jump": 4, "boot_gap": 3,
    "broker_kill": 6, "broker_stop": 4, "broker_term": 2, "disk_full": 1, "registry_kill": 2, "registry_stop": 2,
    "redis_kill": 3, "redis_stop": 3, "redis_failover": 2, "redis_dirty_failover": 0.4, "redis_flush": 0.4,
    "delay": 8, "hold": 6, "drop": 6, "half_close": 5, "cut": 9, "refuse": 5, "late": 6, "endtxn": 9,
}


def make(seed, seconds, every, only=None):
    """Steps for so many seconds of faults, one every `every` seconds on average; the topic grows once, in the middle."""
    chance = random.Random(f"plan {seed}")
    weights = {kind: w for kind, w in WEIGHTS.items() if not only or kind in only}
    steps, at = [], 2.0
    while at < seconds - 5:
        kind, = chance.choices(list(weights), list(weights.values()))
        steps.append(Step(at, kind, chance.randrange(1 << 40)))
        at += chance.uniform(0.3, 1.7) * every
    if not only or "grow" in only:
        steps.append(Step(seconds * 0.45, "grow", 0))
    return sorted(steps)
