"""stepmill config and the frame of all commands: exit codes, places, help, and that no secret is printed. Needs no service."""
import json
import os
import subprocess

from places import REPOSITORY, STEPMILL

GOOD = """kafka: { bootstrap.servers: "b:1", sasl.password: "${K_PASS}" }
schema_registry: { url: "http://r" }
redis: { url: "redis://h" }
agents: { a: { system_prompt: hi, models: [m] } }
models: { m: { url: "http://m", model: m, key: "${KEY}" } }
"""


def run(*args, cwd=None, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STEPMILL_")} | variables
    return subprocess.run([STEPMILL, *args], capture_output=True, text=True, timeout=60, cwd=cwd, env=environment)


def write(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    return tmp_path


def test_a_good_config_is_said_to_be_good(tmp_path):
    r = run("config", "check", "--config", "c.yaml", cwd=write(tmp_path, GOOD), K_PASS="hunter1", KEY="hunter2")
    assert (r.returncode, r.stdout, r.stderr) == (0, "c.yaml: 0 errors, 0 warnings\n", "")


def test_mistakes_have_a_place_and_exit_code_3(tmp_path):
    text = GOOD.replace("redis: { url:", "redis: { tymeout: 1s, url:") + "log: { level: info }\n"
    folder = write(tmp_path, text)
    r = run("config", "check", "-c", "c.yaml", cwd=folder, K_PASS="x", KEY="y")
    assert r.returncode == 3
    assert 'c.yaml:3:10: unknown key "redis.tymeout": did you mean "redis.timeout"?' in r.stdout
    found = json.loads(run("config", "check", "-c", "c.yaml", "--json", cwd=folder, K_PASS="x", KEY="y").stdout)
    assert found["errors"] == 1 and (found["problems"][0]["line"], found["problems"][0]["column"]) == (3, 10)


def test_librdkafka_is_asked_about_its_own_names(tmp_path):
    r = run("config", "check", "-c", "c.yaml", "--set", "kafka.no.such.option=1", cwd=write(tmp_path, GOOD), K_PASS="x", KEY="y")
    assert r.returncode == 3 and "no.such.option" in r.stdout


def test_the_dead_letter_processor_is_checked_where_it_is_configured(tmp_path):
    """As strictly as `dlq serve` does when it starts."""
    secrets = {"K_PASS": "x", "KEY": "y"}
    text = GOOD + 'dlq: { auto_redrives: 2, alerts: { pagerduty: { key: "${PAGER}" } } }\n'
    r = run("config", "check", "-c", "c.yaml", cwd=write(tmp_path, text), **secrets)
    assert r.returncode == 3 and "dlq.alerts.pagerduty.key: the environment variable PAGER is not set" in r.stdout
    for more, wanted in [
        ("access: { tokens_file: no.json }", "dlq.access.tokens_file: cannot read"),
        ("tls: { certificate_file: no.pem }", "dlq.tls.certificate_file: cannot read"),
        ("access: { jwks_url: 'http://j' }", "dlq.access.issuer: must be set with jwks_url"),
        ("listen: '0.0.0.0:8090'", "dlq.listen: "),
        ("listen: '0.0.0.0:8090', access: { anonymous: admin, remote: true }", "dlq.access.anonymous: "),
        ("listen: '0.0.0.0:8090', access: { remote: true }", "warning: dlq.access.remote: without dlq.tls.certificate_file"),
        ("alerts: { webhook: { url: 'https://u:hunter2@h' } }", "dlq.alerts.webhook.url: user and password do not belong in the URL"),
    ]:
        folder = write(tmp_path, f"{GOOD}dlq: {{ {more} }}\n")
        r = run("config", "check", "-c", "c.yaml", cwd=folder, **secrets)
        assert r.returncode == 3 and wanted in r.stdout, (more, r.stdout)
        served = run("dlq", "serve", "-c", "c.yaml", cwd=folder, **secrets) if "warning" not in wanted else r
        assert wanted in served.stderr + served.stdout, (more, served)
        assert "hunter" not in run("config", "show", "-c", "c.yaml", cwd=folder, **secrets).stdout
    assert run("config", "check", "-c", "c.yaml", cwd=write(tmp_path, GOOD + "dlq: { auto_redrives: 2 }\n"), **secrets).returncode == 0


def test_tool_files_are_checked(tmp_path):
    folder = write(tmp_path, GOOD.replace("models: [m]", "models: [m], tools: [lokup]") + "tool_definitions: tools\n")
    (tmp_path / "tools").mkdir()
    tool = json.loads((REPOSITORY / "config/definitions/check_inventory.json").read_text())
    (tmp_path / "tools/lookup.json").write_text(json.dumps(tool | {"name": "lookup"}))
    r = run("config", "check", "-c", "c.yaml", cwd=folder, K_PASS="x", KEY="y")
    assert r.returncode == 3 and 'agents.a.tools: no tool "lokup" in ' in r.stdout and 'did you mean "lookup"?' in r.stdout
    (tmp_path / "tools/lookup.json").write_text(json.dumps(tool | {"name": "lookup", "timeout_ms": "soon"}))
    r = run("config", "check", "-c", "c.yaml", cwd=folder, K_PASS="x", KEY="y")
    assert r.returncode == 3 and "lookup.json" in r.stdout and "timeout_ms" in r.stdout


def test_a_warning_about_a_tool_is_no_error(tmp_path):
    folder = write(tmp_path, GOOD + "tool_definitions: tools\n")
    (tmp_path / "tools").mkdir()
    tool = json.loads((REPOSITORY / "config/definitions/check_inventory.json").read_text())
    (tmp_path / "tools/check_inventory.json").write_text(json.dumps(tool | {"auth_type": "bearer", "auth": {"value": "hunter3"}}))
    r = run("config", "check", "-c", "c.yaml", cwd=folder, K_PASS="x", KEY="y")
    assert r.returncode == 3 and "check_inventory.json:1:" in r.stdout and ": warning: " in r.stdout and "hunter" not in r.stdout
    assert r.stdout.endswith("c.yaml: 0 errors, 1 warning\n")
    found = json.loads(run("config", "check", "-c", "c.yaml", "--json", cwd=folder, K_PASS="x", KEY="y").stdout)
    assert (found["errors"], found["warnings"], found["problems"][0]["severity"]) == (0, 1, "warning")


def test_a_key_in_the_query_of_a_model_is_refused_and_not_shown(tmp_path):
    folder = write(tmp_path, GOOD.replace('"http://m"', '"http://m/v1?key=hunter3"'))
    for command in ("check", "show"):
        r = run("config", command, "-c", "c.yaml", cwd=folder, K_PASS="x", KEY="y")
        assert r.returncode == (3 if command == "check" else 1), r
        assert "c.yaml:5:" in r.stdout + r.stderr and "the model's key" in r.stdout + r.stderr
        assert "hunter" not in r.stdout + r.stderr


def test_what_we_ship_is_good():
    for name in ("stepmill.yaml", "demo/stepmill.yaml"):
        r = run("config", "check", "-c", str(REPOSITORY / "config" / name), OPENAI_API_KEY="x")
        assert r.returncode == 0, r.stdout


def test_show_prints_no_secret_and_reads_back(tmp_path):
    folder = write(tmp_path, GOOD)
    secret = {"K_PASS": "hunter1", "KEY": "hunter2"}
    shown = run("config", "show", "--config", "c.yaml", cwd=folder, **secret)
    assert shown.returncode == 0 and "hunter" not in shown.stdout + shown.stderr
    assert "${K_PASS}" in shown.stdout
    (tmp_path / "again.yaml").write_text(shown.stdout)
    assert run("--config", "again.yaml", "config", "check", cwd=folder, **secret).returncode == 0
    assert json.loads(run("config", "show", "--json", "-c", "c.yaml", cwd=folder, **secret).stdout)["agents"]["a"]["max_steps"] == 10


def test_reference_and_schema():
    assert "agents.<name>.max_steps" in run("config", "options").stdout
    rows = json.loads(run("config", "options", "--json").stdout)
    schema = json.loads(run("config", "schema").stdout)
    assert len(rows) > 70 and schema["properties"]["redis"]["additionalProperties"] is False


def test_usage_errors_name_the_nearest():
    for args, wanted in [
        (["confg"], 'did you mean "config"?'),
        (["config", "chek"], 'did you mean "check"?'),
        (["config", "show", "--sorces"], "did you mean --sources?"),
        (["config"], "something is missing"),
        (["config", "check", "extra"], '"extra" is too much'),
        (["config", "check", "--config"], "--config needs a value"),
        (["--config=", "config", "check"], "--config= needs a value"),
        (["--sources", "config", "show"], "put it behind the command"),
        (["tail", "-zf", "results"], "unknown option -z"),
        (["tail", "-fz", "results"], "unknown option -z"),
        (["tail", "-fn"], "-n needs a value"),
    ]:
        r = run(*args)
        assert r.returncode == 2 and wanted in r.stderr and r.stdout == "", (args, r)


def test_options_before_the_command_are_written_as_behind_it(tmp_path):
    folder = write(tmp_path, GOOD)
    for before in (["--config", "c.yaml"], ["--config=c.yaml"], ["-c", "c.yaml"], ["-cc.yaml"]):
        r = run(*before, "--set=log.level=warn", "--set", "redis.prefix=p:", "config", "show", cwd=folder, K_PASS="x", KEY="y")
        assert r.returncode == 0 and "level: warn" in r.stdout and 'prefix: "p:"' in r.stdout, (before, r)


def test_that_there_is_no_file_is_said_and_where_it_was_looked_for(tmp_path):
    for arguments, code in ((["lag"], 1), (["config", "check"], 3)):
        r = run(*arguments, cwd=tmp_path)
        assert r.returncode == code and "./stepmill.yaml" in r.stdout + r.stderr and "STEPMILL_CONFIG" in r.stdout + r.stderr
    write(tmp_path, "log: { level: info }\n")
    assert "./stepmill.yaml" not in run("lag", "--config", "c.yaml", cwd=tmp_path).stderr, "there is one"


def test_help_and_version():
    assert "config" in run("--help").stdout
    assert "--config FILE" in run("config", "--help").stdout
    version = run("--version").stdout
    assert version.startswith("stepmill ") and "librdkafka 2." in version and "libcurl" in version
