"""Prints the closing table of tools/demo: how each task ended, and whether any saved step was paid for twice.

A call that was on its way when the worker was killed is made again, under the same Idempotency-Key: its answer was not saved.
"""
import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def again(calls, saved):
    """How many answers came again, of steps that were saved at the kill and of steps that were not."""
    twice = unsaved = 0
    for call in calls:
        task, seq = call["key"].split("/")[:2]
        more = max(call["answered"] - 1, 0)
        if f"{task}/{seq}" in saved or f"{task}/*" in saved:
            twice += more
        else:
            unsaved += more
    return twice, unsaved


def main(prefix, results_file, dlq_file, calls_file, saved_file):
    results = [r for r in lines(results_file) if r["value"]["task_id"].startswith(prefix)]
    with open(calls_file, encoding="utf-8") as file:
        calls = json.load(file)["calls"]
    with open(saved_file, encoding="utf-8") as file:
        saved = set(file.read().split())
    of_task = {}
    for call in calls:
        of_task.setdefault(call["task"], []).append(call)
    print(f"\n{'task':<24} {'status':<10} {'steps':>5} {'tokens':>7} {'duration':>9}  {'calls':>5}  {'cut by the kill':<15}  paid twice")
    for record in sorted(results, key=lambda r: r["value"]["task_id"]):
        v = record["value"]
        mine = of_task.get(v["task_id"], [])
        twice, unsaved = again(mine, saved)
        print(f"{v['task_id']:<24} {v['status']:<10} {v['steps_used']:>5} {v['tokens_used']:>7} {v['duration_ms'] / 1000:>8.1f}s"
              f"  {len(mine):>5}  {unsaved or '-':<15}  {twice or '-'}")
    for letter in lines(dlq_file):
        headers = {h["name"]: h["value"] for h in letter["headers"]} if isinstance(letter["headers"], list) else letter["headers"]
        if headers.get("stepmill.code") == "plain_json":
            print(f"{'(not a task)':<24} {'poison':<10} dead letter at {letter['topic']}/{letter['partition']}/{letter['offset']}, "
                  f"from {headers['stepmill.id']}: {headers['__dlq.errors.message'][:60]}…")
            break
    twice, unsaved = again(calls, saved)
    one_each = len(results) == len({r["value"]["task_id"] for r in results})
    print(f"\n{len(results)} tasks, {'one result each' if one_each else 'SOME WITH MORE THAN ONE RESULT'}; {len(saved)} steps were saved when the "
          f"worker was killed, {twice} of them were paid twice.")
    if not saved:
        print("NO STEP WAS SAVED WHEN THE WORKER WAS KILLED, so this run shows nothing about saved steps; run it again.")
    if unsaved:
        print(f"{unsaved} answers were on their way at that moment, and were asked for again under the same Idempotency-Key.")
    return 0 if saved and one_each and not twice else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
