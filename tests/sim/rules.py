#!/usr/bin/env python3
"""Switches each safety rule off, one at a time, and lets the simulator find the violation (tests/sim/README.md, "Rules").

rules.py SIM table [--limit N] [NAME...]  runs up to N histories (20000) for each rule (or the named ones) and rewrites their rows
rules.py SIM check                        a few rules must be found within their first histories: a test that can't fail is a defect
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 20000
# Found within a few histories each, and of different kinds: Lua, the table of tasks, the transaction, the partition.
SELF_CHECK = ["write-once", "duplicate", "settle_stored", "from_beginning", "lanes"]
SELF_CHECK_LIMIT = 300
BEGIN, END = "<!-- rules: made by tools/sim --rules -->", "<!-- end of rules -->"
HEAD = ["| rule | § | switched off in | seeds needed | what broke | shortest history |", "|---|---|---|---|---|---|"]


def marks():
    """Where each rule's switches stand: {name: [file, ...]}."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".c", ".h", ".lua"):
            continue
        pattern = r"-- RULE\(([\w-]+)\)" if path.suffix == ".lua" else r"\bRULE\(([\w-]+)\)"
        for name in re.findall(pattern, path.read_text(encoding="utf-8")):
            where = str(path.relative_to(ROOT / "src"))
            if where not in found.setdefault(name, []):
                found[name].append(where)
    return found


def listed():
    """rules.txt: {name: (section, text, elsewhere)}; `elsewhere` may begin with "+NAME": switched off together with that one, or with
    "@SEED": one in a hundred thousand histories shows it, this is one."""
    rules = {}
    for line in (HERE / "rules.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, section, text, elsewhere = (part.strip() for part in line.split("|"))
            rules[name] = (section, text, elsewhere)
    return rules


def compare(found, rules):
    missing = sorted(set(found) - set(rules)) + sorted(set(rules) - set(found))
    if missing:
        sys.exit(f"rules.py: rules.txt and the marks in src/ differ in: {', '.join(missing)}; write each new rule into both")


def run(sim, name, limit, *more):
    """(seed, promise, what it said, things left after shrinking), or None: not found."""
    done = subprocess.run([sim, "--rule-off", name, "--histories", str(limit), *more], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    bad = re.search(r"^seed (\d+) breaks a promise: ([\w-]+): (.*)$", done.stdout, re.MULTILINE)
    if done.returncode != 1 or not bad:
        sys.exit(f"rules.py: {sim} --rule-off {name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    left = re.search(r"^shortest history found: (\d+) records and faults, ([\d.]+) s$", done.stdout, re.MULTILINE)
    return int(bad[1]), bad[2], bad[3], (int(left[1]), float(left[2])) if left else None


def row(name, rule, files, found, limit):
    section, text, elsewhere = rule
    if found:
        seed, promise, _, left = found
        size = f"{left[0]} records and faults, {left[1]:.0f} s" if left else ""
        alone = f"; alone held by `{elsewhere[1:]}`" if elsewhere.startswith("+") else ""
        cells = [str(seed), f"`{promise}`{alone}", size]
    else:
        cells = [f"none in {limit:,}", elsewhere, ""]
    return "| " + " | ".join([f"`{name}`: {text}", section, ", ".join(f"`{f}`" for f in files), *cells]) + " |"


def old_rows():
    """The table as it stands: {name: row}."""
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    part = text[text.find(BEGIN):text.find(END)] if BEGIN in text else ""
    return {match[1]: match[0] for match in re.finditer(r"^\| `([\w-]+)`: .*$", part, re.MULTILINE)}


def write(rows):
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"rules.py: {readme} has no place for the table: put the lines {BEGIN} and {END} into it")
    table = "\n".join([BEGIN, *HEAD, *rows, END])
    readme.write_text(text[:text.index(BEGIN)] + table + text[text.index(END) + len(END):], encoding="utf-8")


def table(sim, names, limit):
    found, rules = marks(), listed()
    compare(found, rules)
    rows = old_rows()
    for name in names or rules:
        if name not in rules:
            sys.exit(f"rules.py: there is no rule {name}; rules.txt lists them")
        elsewhere = rules[name][2]
        first = ["--seed", elsewhere.split()[0][1:]] if elsewhere.startswith("@") else []
        result = run(sim, name + (elsewhere.split()[0] if elsewhere.startswith("+") else ""), limit, *first)
        rows[name] = row(name, rules[name], found[name], result, limit)
        print(rows[name], flush=True)
        write([rows[n] for n in rules if n in rows])
    silent = [n for n in rules if n in rows and "| none in " in rows[n] and not rules[n][2]]
    if silent:
        print(f"nothing found for: {', '.join(silent)}")
    return 1 if silent else 0


def check(sim):
    compare(marks(), listed())
    for name in SELF_CHECK:
        found = run(sim, name, SELF_CHECK_LIMIT, "--no-shrink")
        if not found:
            sys.exit(f"rules.py: {SELF_CHECK_LIMIT} histories without the rule {name} broke no promise: the simulator sees less than it did")
        print(f"without {name}: seed {found[0]} breaks {found[1]}")
    print(f"{len(SELF_CHECK)} rules switched off, {len(SELF_CHECK)} violations found; {len(listed())} rules are listed")
    return 0


def main(arguments):
    if len(arguments) >= 2 and arguments[1] == "check":
        return check(arguments[0])
    if len(arguments) >= 2 and arguments[1] == "table":
        names, limit = arguments[2:], LIMIT
        if names[:1] == ["--limit"]:
            limit, names = int(names[1]), names[2:]
        return table(arguments[0], names, limit)
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
