"""Who may do what at the review API: tokens, roles, JWTs and attacks on them, pages of other sites, TLS, read-only mode."""
import concurrent.futures
import json
import time

import pytest
import requests

from callers import AUDIENCE, ISSUER, ROLES, Issuer, Key, b64, bearer, hmac_with, write_tokens
from processor import Processor, actions_of
from services import Certificates, free_port
from test_dlq_redrive import put_letters
from worker import wait_for


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer(Key("rsa-1"), Key("ec-1", "ES256"))
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def guarded(make_shared_world, issuer):
    """Tokens and JWTs, no anonymous callers; one letter, one task that is done."""
    world = make_shared_world()
    world.start()
    world.one("a secret prompt", task_id=f"{world.name}-seen")
    letter, = put_letters(world, 1, prompt="a secret prompt")
    processor = Processor(world, access={"anonymous": "none", "tokens_file": write_tokens(world.folder / "tokens.json"),
                                         "jwks_url": issuer.url, "issuer": ISSUER, "audience": AUDIENCE, "roles_claim": "realm.roles"}).engine()
    wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    processor.letter, processor.path = letter, "/letters/" + requests.utils.quote(letter, safe="")
    return processor


def refusals(processor, code):
    return len(processor.lines("dlq.api.refused", code=code))


# ---- roles


def test_each_role_may_do_what_is_its_own(guarded):
    letters = {"letters": [guarded.letter]}
    needs = [("GET", "/letters", None, "view"), ("GET", guarded.path, None, "view"), ("GET", "/events?x=1", None, "view"),
             ("POST", "/exports", {"format": "csv"}, "view"), ("POST", "/actions", {"kind": "noted", "note": "n", **letters}, "redrive"),
             ("POST", "/redrives/dry-run", letters, "redrive"), ("POST", "/redrives/none/pause", {}, "redrive"),
             ("GET", guarded.path + "/value", None, "edit"), ("POST", guarded.path + "/edit", {"value": {}, "reason": "r"}, "edit"),
             ("POST", "/actions", {"kind": "discarded", "letters": ["no:0:1"], "reason": "r"}, "discard")]
    for at, role in enumerate(ROLES):
        assert guarded.api("GET", "/me", headers=bearer(f"{role}-token")).json()["role"] == role
        for method, path, body, least in needs:
            answer = guarded.api(method, path, json=body, headers=bearer(f"{role}-token"))
            refused = answer.status_code == 403 and answer.json()["code"] == "role"
            assert refused == (at < ROLES.index(least)), (role, method, path, answer.text)
    assert {a["actor"] for a in actions_of(guarded.world, "noted")} == {"ci-redrive", "ci-edit", "ci-discard", "ci-admin"}
    refused = actions_of(guarded.world, "access_refused", detail="role")
    assert len(refused) == refusals(guarded, "role") == 10, "the topic takes ten a minute for one reason"
    assert {(a["actor"], a["actor_kind"]) for a in refused} <= {("ci-view", "token"), ("ci-redrive", "token"), ("ci-edit", "token")}


def test_viewers_see_no_payload(guarded):
    hidden = guarded.api("GET", guarded.path, headers=bearer("view-token"))
    shown = guarded.api("GET", guarded.path, headers=bearer("edit-token"))
    assert hidden.json()["value"] == {"size": shown.json()["value"]["size"], "form": "masked"} and shown.json()["value"]["form"] == "json"
    headers = {h["name"]: h["value"] for h in hidden.json()["headers"]}
    assert headers["mine"] is None and headers["stepmill.code"] == "model_http_400"
    assert "secret prompt" in shown.text and "secret prompt" not in hidden.text
    seen = wait_for("the task is known", 30, lambda: [
        a for role in ("view", "edit") if (a := guarded.api("GET", f"/tasks/{guarded.world.name}-seen", headers=bearer(f"{role}-token"))).ok])
    assert (seen[0].json()["task"]["prompt"], seen[1].json()["task"]["prompt"]) == (None, "a secret prompt")
    assert "secret prompt" not in seen[0].text and not [s for s in seen[0].json()["steps"] if s["text"]]
    lines = {role: guarded.api("POST", "/exports", json={"format": "jsonl"}, headers=bearer(f"{role}-token")).json() for role in ("view", "edit")}
    assert lines["view"]["value_base64"] is None and lines["edit"]["value_base64"]
    assert guarded.api("GET", "/me", headers=bearer("view-token")).json()["masked"]


def test_without_a_token(guarded):
    answer = guarded.api("GET", "/letters")
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer") and answer.json()["code"] == "no_token"
    assert guarded.api("GET", "/openapi.json").status_code == 200 and guarded.get("/livez")[0] == 200
    for wrong, code in (("Bearer nobody", "token_unknown"), ("Basic YTpi", "token_malformed"), ("Bearer", "token_malformed")):
        assert guarded.api("GET", "/letters", headers={"Authorization": wrong}).json()["code"] == code


# ---- JWTs


def test_tokens_of_the_issuer(guarded, issuer):
    for key in issuer.keys:
        me = guarded.api("GET", "/me", headers=bearer(key.token(realm={"roles": ["view", "discard", "dance"]}))).json()
        assert (me["name"], me["kind"], me["role"]) == ("ann", "user", "discard")
        assert guarded.api("GET", "/me", headers=bearer(key.token(realm={"roles": "edit view"}, aud=["a", AUDIENCE]))).json()["role"] == "edit"
    nobody = guarded.api("GET", "/me", headers=bearer(key.token(realm={"roles": ["dance"]})))
    assert nobody.status_code == 403 and nobody.json()["code"] == "no_role"


def attacks(rsa, ec, thief):
    """name → (token, what it is refused for)"""
    good = rsa.token()
    head, payload, signature = good.split(".")
    evil = b64(json.dumps({"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": time.time() + 300}).encode())
    return {
        "alg none": (rsa.token({"alg": "none"}, lambda text: b"").rstrip("."), "token_malformed"),
        "alg none, empty signature": (rsa.token({"alg": "none"}, lambda text: b""), "token_malformed"),
        "alg none, some signature": (rsa.token({"alg": "None"}), "token_algorithm"),
        "HS256 with the public key": (rsa.token({"alg": "HS256"}, hmac_with(rsa.pem)), "token_algorithm"),
        "HS256 with the public key's number": (rsa.token({"alg": "HS256"}, hmac_with(rsa.jwk["n"].encode())), "token_algorithm"),
        "RS512": (rsa.token({"alg": "RS512"}), "token_algorithm"),
        "RS256 for an EC key": (rsa.token({"kid": ec.kid}), "token_algorithm"),
        "ES256 for an RSA key": (ec.token({"kid": rsa.kid}), "token_algorithm"),
        "crit": (rsa.token({"crit": ["exp"]}), "token_critical"),
        "b64": (rsa.token({"b64": False}), "token_critical"),
        "expired": (rsa.token(exp=time.time() - 60), "token_expired"),
        "no exp": (rsa.token(exp=None), "token_expired"),
        "exp as text": (rsa.token(exp="4102444800"), "token_expired"),
        "not yet": (rsa.token(nbf=time.time() + 600), "token_not_yet"),
        "wrong issuer": (rsa.token(iss="https://login.example/"), "token_issuer"),
        "no issuer": (rsa.token(iss=None), "token_issuer"),
        "wrong audience": (rsa.token(aud="stepmil"), "token_audience"),
        "no audience": (rsa.token(aud=None), "token_audience"),
        "no subject": (rsa.token(sub=None), "token_subject"),
        "tampered claims": (f"{head}.{evil}.{signature}", "token_signature"),
        "tampered signature": (f"{head}.{payload}.{b64(b'x' * 256)}", "token_signature"),
        "somebody else's signature": (rsa.token(signer=thief.sign), "token_signature"),
        "its own key in the header": (thief.token({"kid": rsa.kid, "jwk": thief.jwk}), "token_signature"),
        "a DER signature": (ec.token(signer=lambda text: b"\x30\x44" + b"\x02\x20" + b"a" * 32 + b"\x02\x20" + b"b" * 32), "token_signature"),
        "missing kid": (rsa.token({"kid": None}), "token_no_kid"),
        "claims named twice": (rsa.token(claims='{"sub": "a", "sub": "b"}'), "token_malformed"),
        "two parts": (f"{head}.{payload}", "token_malformed"),
        "four parts": (f"{good}.{signature}", "token_malformed"),
        "no base64": (f"{head}.{payload}!.{signature}", "token_signature"),
        "huge": (rsa.token(more="x" * 7000), "token_too_large"),
    }


def test_attacks_on_tokens_are_refused_and_recorded(guarded, issuer):
    table = attacks(*issuer.keys, Key("thief"))
    for name, (token, code) in table.items():
        answer = guarded.api("GET", "/letters", headers=bearer(token))
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (401, 401), (name, answer.text)
        assert problem["code"] in (code, "token_malformed") if name == "no base64" else problem["code"] == code, (name, problem)
        assert "WWW-Authenticate" in answer.headers and refusals(guarded, problem["code"]) >= 1
    longer = guarded.api("GET", "/letters", headers=bearer("x" * 17000))
    assert longer.status_code >= 400, "a head that is larger than 16 KiB reaches nobody"
    assert guarded.process.poll() is None and guarded.api("GET", "/me", headers=bearer("view-token")).status_code == 200
    asked = {"params": {"kind": "access_refused", "limit": 200}, "headers": bearer("view-token")}
    wait_for("each refusal is shown", 20, lambda: {code for _, code in table.values()} <= {
        a["detail"]["detail"] for a in guarded.api("GET", "/actions", **asked).json()["items"] if a["detail"]["name"] == "GET /api/v1/letters"})
    for token, _ in table.values():
        assert token not in guarded.text, "no log line shows a token"


def test_new_keys_are_fetched_once_for_a_kid_that_is_not_known(guarded, issuer):
    """A token of a key that was made just now gets in; strangers cannot make us ask the issuer again and again."""
    asked, new = issuer.asked, Key("rsa-2")
    issuer.keys.append(new)
    issuer.delay = 0.5
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: guarded.api("GET", "/me", headers=bearer(new.token(realm={"roles": "view"}))), range(8)))
    assert [a.status_code for a in answers] == [200] * 8, answers[0].text
    assert issuer.asked == asked + 1
    for number in range(20):
        answer = guarded.api("GET", "/me", headers=bearer(Key(f"unknown-{number}", "ES256").token()))
        assert answer.status_code == 401 and answer.json()["code"] == "token_unknown_kid"
    assert issuer.asked == asked + 1


# ---- where a request comes from


def test_pages_of_other_sites_reach_nothing(make_world):
    """Anonymous callers may act here: a browser that stands on another site's page must not."""
    world = make_world()
    key = Key("file-1")
    keys = world.folder / "keys.json"
    keys.write_text(json.dumps({"keys": [key.jwk]}), encoding="utf-8")
    letter, = put_letters(world, 1)
    processor = Processor(world, access={"anonymous": "admin", "jwks_file": str(keys), "issuer": ISSUER, "audience": AUDIENCE}).engine()
    wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    act = {"json": {"kind": "parked", "letters": [letter]}}
    own = f"http://127.0.0.1:{processor.port}"
    for headers, code in (({"Origin": "https://evil.example"}, "cross_site"), ({"Origin": "null"}, "cross_site"),
                          ({"Sec-Fetch-Site": "cross-site"}, "cross_site"), ({"Sec-Fetch-Site": "same-site", "Origin": own}, "cross_site"),
                          ({"Host": "evil.example"}, "foreign_host")):
        answer = processor.api("POST", "/actions", headers=headers, **act)
        assert answer.status_code == 403 and answer.json()["code"] == code, headers
    assert processor.api("GET", "/letters", headers={"Host": "rebound.example:8090"}).status_code == 403
    assert processor.api("POST", "/actions", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}, **act).status_code == 200
    assert {a["detail"] for a in actions_of(world, "access_refused")} == {"cross_site", "foreign_host"}

    # keys of a file are read again when a kid is not known
    new = Key("file-2")
    assert processor.api("GET", "/me", headers=bearer(key.token(roles="view"))).json()["role"] == "view"
    keys.write_text(json.dumps({"keys": [new.jwk]}), encoding="utf-8")
    assert processor.api("GET", "/me", headers=bearer(new.token(roles="edit"))).json()["role"] == "edit"
    assert processor.api("GET", "/me", headers=bearer(key.token(roles="view"))).json()["code"] == "token_unknown_kid"
    processor.stop()


def test_read_only_over_tls(make_world, tmp_path):
    world, certificates = make_world(), Certificates(tmp_path / "certificates")
    letter, = put_letters(world, 1)
    processor = Processor(world, access={"anonymous": "admin", "read_only": True}, tls={
        "certificate_file": str(certificates.certificate), "key_file": str(certificates.key)})
    url = f"https://127.0.0.1:{processor.port}/api/v1"

    def call(method, path, verify=str(certificates.ca), **more):
        return requests.request(method, url + path, timeout=30, verify=verify, **more)

    wait_for("the letter is known", 60, lambda: (a := call("GET", "/letters")).status_code == 200 and a.json()["items"])
    assert call("GET", "/letters").headers["Strict-Transport-Security"] and call("GET", "/me").json()["read_only"]
    for path, body in (("/actions", {"kind": "parked", "letters": [letter]}), ("/redrives", {"letters": [letter], "reason": "r"}),
                       ("/redrives/x/cancel", {}), (f"/letters/{requests.utils.quote(letter, safe='')}/edit", {"value": {}, "reason": "r"})):
        answer = call("POST", path, json=body)
        assert answer.status_code == 403 and answer.json()["code"] == "read_only", path
    assert call("POST", "/redrives/dry-run", json={"letters": [letter]}).json()["eligible"] == 1
    assert call("POST", "/exports", json={"format": "csv"}).text.count("\r\n") == 2
    with pytest.raises(requests.exceptions.SSLError):
        call("GET", "/me", verify=True)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url.replace("https", "http") + "/me", timeout=10)
    processor.stop()


def test_only_this_machine_unless_it_is_said(world):
    processor = Processor(world, listen="0.0.0.0:0")
    assert processor.wait() == 1
    assert "dlq.listen: \"0.0.0.0:0\" can be reached from other machines" in processor.text
    processor = Processor(world, listen="0.0.0.0:0", access={"anonymous": "admin", "remote": True})
    assert processor.wait() == 1
    assert "dlq.access.anonymous: with dlq.access.remote at most view" in processor.text
    processor = Processor(world, listen="0.0.0.0:0", access={
        "anonymous": "none", "remote": True, "tokens_file": write_tokens(world.folder / "tokens.json"),
        "jwks_url": f"http://127.0.0.1:{free_port()}/keys", "issuer": ISSUER, "audience": AUDIENCE})
    assert processor.api("GET", "/me").status_code == 401
    assert processor.lines("dlq.api.plain"), "tokens in plain text are not passed over in silence"
    away = processor.api("GET", "/me", headers=bearer(Key("any", "ES256").token()))
    assert (away.status_code, away.json()["code"]) == (503, "keys_pending") and away.headers["Retry-After"], "the issuer does not answer"
    assert processor.api("GET", "/me", headers=bearer("view-token")).status_code == 200
    processor.stop()
