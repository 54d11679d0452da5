"""Where the lab's things are: folders, ports, executables; and the end-to-end tests' modules, which it shares. Imported first."""
import os
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BASE = int(os.environ.get("STEPMILL_CHAOS_PORT", "23000"))  # below the range that outgoing connections take theirs from
HOST = "127.0.0.1"
BROKERS = (1, 2, 3)
WORKERS = (0, 1, 2)

PLAIN = {n: BASE + 10 * n for n in BROKERS}  # for the lab and between brokers; one above: the controller, two above: behind the proxy
REGISTRY_PORT, REDIS_PORTS, FAKES_PORT = BASE + 40, (BASE + 51, BASE + 52), BASE + 60
HTTP_PORTS = {n: BASE + 70 + n for n in WORKERS}
PROXY = {**{f"kafka-{n}": BASE + 100 + n for n in BROKERS}, "registry": BASE + 104, "redis": BASE + 105, "model": BASE + 106,
         "tools": BASE + 107}

BOOTSTRAP = ",".join(f"{HOST}:{port}" for port in PLAIN.values())
REGISTRY_API = "/apis/ccompat/v7"

os.environ["KAFKA"] = BOOTSTRAP
os.environ["REGISTRY"] = f"http://{HOST}:{REGISTRY_PORT}{REGISTRY_API}"
os.environ["REDIS"] = f"redis://{HOST}:{REDIS_PORTS[0]}/0"
sys.path.append(str(REPOSITORY / "tests" / "e2e"))
