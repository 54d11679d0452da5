"""A running `stepmill worker`: its log, its probes, its end."""
import ctypes
import json
import math
import shutil
import signal
import subprocess
import time

import requests

from places import STEPMILL, TIME_FACTOR

SANITIZERS = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:", "BUG:")


def die_with_parent():
    """A test run that is killed leaves no worker behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def wait_for(what, seconds, condition):
    """Calls `condition` until it answers something true, and returns that."""
    deadline = time.monotonic() + seconds * TIME_FACTOR
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds * TIME_FACTOR} s"
        time.sleep(0.02)
    return found


class Worker:
    def __init__(self, config, log_path, *arguments):
        self.log_path = log_path
        self.ended = False
        self.troubles = []
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen([STEPMILL, "worker", "--config", str(config), *arguments], stderr=log, stdout=log,
                                            preexec_fn=die_with_parent)

    @property
    def text(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def lines(self, event=None, **fields):
        """Log lines of this event with these fields."""
        found = []
        for line in self.text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if (event is None or entry.get("event") == event) and all(entry.get(k) == v for k, v in fields.items()):
                found.append(entry)
        return found

    def wait_log(self, event, seconds=20, count=1, **fields):
        def look():
            found = self.lines(event, **fields)
            assert len(found) >= count or self.process.poll() is None, f"the worker ended with {self.process.returncode}"
            return found if len(found) >= count else None

        return wait_for(f"log line {event} {fields}", seconds, look)

    @property
    def port(self):
        return self.wait_log("worker.start")[0]["http_port"]

    def get(self, path):
        """(status, text) of a probe; (0, "") when nobody answers."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
            return answer.status_code, answer.text
        except requests.ConnectionError:
            return 0, ""

    def ready(self, seconds=40):
        wait_for("/readyz answers 200", seconds, lambda: self.get("/readyz")[0] == 200)
        return self

    def metric(self, name, **labels):
        """The sum of a metric's samples that have these labels; when nobody answers nan, which equals nothing."""
        status, text = self.get("/metrics")
        total = 0.0 if status == 200 else math.nan
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            if (sample == name or sample.startswith(name + "{")) and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(30)
        self.ended = True

    def wait(self, seconds=40):
        """Its exit code."""
        try:
            code = self.process.wait(seconds * TIME_FACTOR)
        except subprocess.TimeoutExpired:
            self.add_stacks()
            raise
        self.ended = True
        return code

    def add_stacks(self):
        """What each thread of a worker that hangs is doing, into its log; needs gdb."""
        if shutil.which("gdb"):
            with open(self.log_path, "ab") as log:
                subprocess.run(["gdb", "-p", str(self.process.pid), "-batch", "-ex", "thread apply all backtrace 20"], stdout=log,
                               stderr=subprocess.DEVNULL, timeout=60, check=False)

    def stop(self, expect=0, seconds=40):
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        assert code == expect, f"the worker ended with {code}"

    def close(self):
        """Stops it if it runs, and tells what is wrong with how it ended."""
        troubles = []
        if not self.ended and self.process.poll() is not None:
            troubles.append(f"the worker ended by itself with {self.process.returncode}: {self.log_path}")
        elif not self.ended:
            self.signal(signal.SIGTERM)
            try:
                code = self.wait(60)
                if code:
                    troubles.append(f"the worker ended with {code}: {self.log_path}")
            except subprocess.TimeoutExpired:
                self.kill()
                troubles.append(f"the worker did not end within 60 s of SIGTERM: {self.log_path}")
        troubles += [line for line in self.text.splitlines() if any(word in line for word in SANITIZERS)]
        return troubles

    def show_end(self, count=25):
        lines = self.text.splitlines()
        alarming = [line for line in lines[:-count] if '"level":"warn"' in line or '"level":"error"' in line]
        print(f"--- {self.log_path}", *alarming[-count:], "…", *lines[-count:], sep="\n")
