"""Prints the closing table of tools/demo: how each task ended, and whether any step was paid for twice."""
import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def main(prefix, results_file, dlq_file, calls_file):
    results = [r for r in lines(results_file) if r["value"]["task_id"].startswith(prefix)]
    with open(calls_file, encoding="utf-8") as file:
        calls = json.load(file)["calls"]
    paid = {}
    for call in calls:
        paid.setdefault(call["task"], []).append(call["answered"])
    print(f"\n{'task':<24} {'status':<10} {'steps':>5} {'tokens':>7} {'duration':>9}  {'calls paid':>10}  paid twice")
    twice = 0
    for record in sorted(results, key=lambda r: r["value"]["task_id"]):
        v = record["value"]
        answered = paid.get(v["task_id"], [])
        again = sum(n - 1 for n in answered if n > 1)
        twice += again
        print(f"{v['task_id']:<24} {v['status']:<10} {v['steps_used']:>5} {v['tokens_used']:>7} {v['duration_ms'] / 1000:>8.1f}s"
              f"  {sum(answered):>10}  {again or '-'}")
    for letter in lines(dlq_file):
        headers = {h["name"]: h["value"] for h in letter["headers"]} if isinstance(letter["headers"], list) else letter["headers"]
        if headers.get("stepmill.code") == "plain_json":
            print(f"{'(not a task)':<24} {'poison':<10} dead letter at {letter['topic']}/{letter['partition']}/{letter['offset']}, "
                  f"from {headers['stepmill.id']}: {headers['__dlq.errors.message'][:60]}…")
            break
    print(f"\n{len(results)} tasks, {len({r['value']['task_id'] for r in results})} results, one each; "
          f"{sum(map(sum, paid.values()))} calls answered by model and tools, {twice} of them paid twice, although the worker was killed midway.")
    return 1 if twice or len(results) != len({r["value"]["task_id"] for r in results}) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
