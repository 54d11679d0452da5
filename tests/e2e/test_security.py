"""Guarded services: TLS and an ACL user for Redis, basic and bearer for the registry, SASL_SSL and ACLs for Kafka."""
import base64

import pytest
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType)

from places import REGISTRY
from proof import check_history
from records import new_task
from services import Certificates, GuardedRegistry, OwnRedis, OwnStack, free_port
from worker import wait_for

SECRET = "s3cret-that-no-log-may-show"
WORK = "[[fake: tools=look]]"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def works(world):
    worker = world.start()
    task, result = world.one(WORK)
    assert result["status"] == "completed"
    check_history(world.history_of(task), result)
    assert SECRET not in worker.text
    return worker


@pytest.fixture
def guarded_redis(make_world, tmp_path, certificates):
    """TLS only; the default user is off, the worker's may do no more than it needs."""
    tls = free_port()
    own = OwnRedis(tmp_path, "--tls-port", str(tls), "--tls-cert-file", str(certificates.certificate), "--tls-key-file",
                   str(certificates.key), "--tls-ca-cert-file", str(certificates.ca), "--tls-auth-clients", "no")
    admin = own.client()
    password = tmp_path / "password"
    password.write_text(SECRET + "\n")
    world = make_world(redis={"url": f"rediss://127.0.0.1:{tls}/0", "username": "mill", "password_file": str(password),
                              "ca_file": str(certificates.ca)})
    admin.execute_command("ACL", "SETUSER", "mill", "on", f">{SECRET}", f"~{world.name}:*", "+@read", "+@write", "+@scripting",
                          "+@connection", "+@transaction", "+info", "+time", "+config|get", "+memory|usage", "-@dangerous",
                          "+info", "+config|get")
    world.redis, world.own = admin, own
    world.closers.append(own.stop)
    return world


def test_redis_with_tls_and_an_acl_user(guarded_redis):
    works(guarded_redis)


@pytest.mark.parametrize("mistake, code", [("certificate", "redis_tls"), ("password", "redis_auth"), ("name", "redis_tls")])
def test_redis_that_must_not_be_trusted_or_does_not_trust(guarded_redis, certificates, mistake, code, tmp_path):
    world = guarded_redis
    if mistake == "certificate":
        changes = {"ca_file": str(Certificates(tmp_path / "others").ca)}
    elif mistake == "password":
        changes = {"password_file": None, "password": "${STEPMILL_E2E_KEY}"}
    else:
        changes = {"url": world.settings["redis"]["url"].replace("127.0.0.1", "127.0.0.2")}
    worker = world.start(world.write_config("wrong.yaml", redis=changes), ready=False)
    line = worker.wait_log("worker.waiting", **{"for": "redis"})[0]
    assert line["code"].startswith(code), line
    assert worker.get("/readyz")[0] == 503
    assert SECRET not in worker.text


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_a_registry_that_asks_who_comes(make_world, kind):
    if kind == "basic":
        authorization = "Basic " + base64.b64encode(f"mill:{SECRET}".encode()).decode()
        credentials = {"username": "mill", "password": SECRET}
    else:
        authorization, credentials = f"Bearer {SECRET}", {"token": SECRET}
    host = REGISTRY.split("/apis")[0]
    guard = GuardedRegistry(host, authorization)
    world = make_world(create=False, schema_registry={"url": REGISTRY.replace(host, guard.url), **credentials})
    world.closers.append(guard.close)
    world.create()
    works(world)
    assert set(guard.seen) == {authorization}

    wrong = {k: v + "x" if k != "username" else v for k, v in credentials.items()}
    worker = world.start(world.write_config("wrong.yaml", schema_registry=wrong), ready=False)
    line = worker.wait_log("worker.waiting", **{"for": "schema_registry"})[0]
    assert "401" in str(line), line
    done = world.stepmill("schemas", "register", config=world.folder / "wrong.yaml", expect=1)
    assert SECRET not in worker.text + done.stderr + done.stdout


def broker_config(certificates):
    def text(plain, secure, controller):
        return f"""listeners=PLAINTEXT://{plain},SECURE://{secure},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{plain},SECURE://{secure}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_mill="{SECRET}";
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={certificates.both}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
    return text


def allow(world, *bindings):
    """What the worker's user may do: (type, name, operation)."""
    admin = AdminClient({"bootstrap.servers": world.broker})
    made = admin.create_acls([AclBinding(kind, name, ResourcePatternType.PREFIXED, "User:mill", "*", operation, AclPermissionType.ALLOW)
                              for kind, name, operation in bindings])
    for future in made.values():
        future.result(20)


def test_kafka_with_sasl_ssl_and_no_more_rights_than_needed(make_world, tmp_path, certificates):
    stack = OwnStack(tmp_path / "own", broker_config(certificates))
    world = make_world(create=False, broker=stack.plain)
    world.closers.append(stack.close)
    world.create()
    secure = world.write_config("secure.yaml", kafka={
        "bootstrap.servers": stack.secure, "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "mill",
        "sasl.password": SECRET, "ssl.ca.location": str(certificates.ca)})
    worker = world.start(secure, ready=False)
    refused = wait_for("what is refused is said", 30, lambda: [
        line for line in worker.lines() if line["level"] in ("warn", "error") and "AUTHORIZATION" in str(line).upper()])
    print(refused)
    worker.kill()
    allow(world, *((ResourceType.TOPIC, world.tasks_topic(), op) for op in (AclOperation.READ, AclOperation.DESCRIBE)),
          *((ResourceType.TOPIC, world.topic(t), op) for t in ("results", "events", "dlq")
            for op in (AclOperation.WRITE, AclOperation.DESCRIBE)),
          (ResourceType.GROUP, world.name, AclOperation.READ),
          *((ResourceType.TRANSACTIONAL_ID, f"{world.name}-worker-", op) for op in (AclOperation.WRITE, AclOperation.DESCRIBE)))
    worker = world.start(secure)
    task = new_task(WORK)
    result = world.run(task)[0]
    assert result["status"] == "completed"
    check_history(world.history_of(task), result)
    wrong = world.write_config("wrong.yaml", kafka={
        "bootstrap.servers": stack.secure, "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "mill",
        "sasl.password": "${STEPMILL_E2E_KEY}", "ssl.ca.location": str(certificates.ca), "group.id": f"{world.name}-w"})
    other = world.start(wrong, ready=False)
    assert other.wait_log("worker.waiting", **{"for": "kafka"})
    wait_for("the log says that the password is wrong", 20, lambda: "uthentication" in other.text)
    assert SECRET not in worker.text + other.text
