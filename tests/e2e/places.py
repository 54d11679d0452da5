"""Where things are: the services and executables that tools/test names, and the schemas of this repository."""
import os
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STEPMILL_BUILD_DIR", REPOSITORY / "build"))
STEPMILL = str(BUILD / "stepmill")
KAFKA = os.environ.get("KAFKA", "127.0.0.1:29092")
REGISTRY = os.environ.get("REGISTRY", "http://127.0.0.1:28081/apis/ccompat/v7")
REDIS = os.environ.get("REDIS", "redis://127.0.0.1:26379/0")
# Above 1 (sanitizers): time-outs are stretched and no latency is asserted.
TIME_FACTOR = float(os.environ.get("STEPMILL_TIME_FACTOR", "1"))

os.environ["STEPMILL_E2E_KEY"] = "a-key-that-no-log-may-show"
os.environ.setdefault("STEPMILL_FAKES", str(BUILD / "stepmill-fakes"))
sys.path.append(str(REPOSITORY / "tests" / "fakes"))


def schema_text(name):
    return (REPOSITORY / "schemas" / f"{name}.avsc").read_text(encoding="utf-8")
