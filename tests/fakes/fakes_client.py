"""A running stepmill-fakes, for the tests of any folder: start it, send what a worker would send, ask what it saw."""
import http.client
import itertools
import json
import os
import pathlib
import signal
import subprocess

PROGRAM = os.environ.get("STEPMILL_FAKES") or str(pathlib.Path(__file__).resolve().parents[2] / "build" / "stepmill-fakes")
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {
        "type": "object", "required": ["q", "n", "kind"],
        "properties": {"q": {"type": "string"}, "n": {"type": "integer", "minimum": 3}, "kind": {"enum": ["red", "blue"]}}}}},
    {"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {}}}},
]
numbers = itertools.count(1)


def new_task():
    return f"t-{next(numbers)}"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def choice(self):
        return self.json["choices"][0]

    @property
    def content(self):
        return self.choice["message"]["content"]

    @property
    def calls(self):
        return [(c["function"]["name"], c["function"]["arguments"]) for c in self.choice["message"].get("tool_calls", [])]


class Fakes:
    """One running stepmill-fakes."""

    def __init__(self, *options):
        self.process = subprocess.Popen([PROGRAM, "--listen", "127.0.0.1:0", "--model-latency", "0", "--tool-latency", "0", *options],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split("http://127.0.0.1:")[1].split()[0])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def send(self, method, path, body=None, headers=None, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        return self.send("GET", path).json

    def post(self, path, body):
        answer = self.send("POST", path, body)
        assert answer.status == 200, answer.body
        return answer.json

    def chat(self, prompt, task=None, step=1, model="gpt-4o", tools=TOOLS, results=(), headers=None, timeout=10, **more):
        """The request of a worker that is at its `step`-th model call of this prompt."""
        messages = [{"role": "system", "content": "You help."}, {"role": "user", "content": prompt}]
        for i in range(1, step):
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": "{}"}}]})
            messages.append({"role": "tool", "tool_call_id": f"c{i}", "content": results[i - 1] if i <= len(results) else "{}"})
        sent = {"Idempotency-Key": f'"{task}/{step * 2 - 1}/0badcafe"'} if task else {}
        return self.send("POST", "/v1/chat/completions", {"model": model, "messages": messages, "tools": tools, **more},
                         {**sent, **(headers or {})}, timeout)

    def tool(self, name, params, key=None, timeout=10):
        return self.send("POST", f"/tools/{name}", {"params": params}, {"Idempotency-Key": f'"{key}"'} if key else {}, timeout)

    def call(self, key):
        found = [c for c in self.get(f"/fakes/calls?prefix={key}")["calls"] if c["key"] == key]
        assert len(found) == 1, found
        return found[0]
