"""Who calls the review API: tokens by their digest, and an issuer of JWTs whose keys change."""
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ROLES = ("view", "redrive", "edit", "discard", "admin")
ISSUER, AUDIENCE = "https://login.example", "stepmill"


def write_tokens(path):
    """A token "<role>-token" for each role, named after it."""
    tokens = [{"name": f"ci-{role}", "role": role, "sha256": hashlib.sha256(f"{role}-token".encode()).hexdigest()} for role in ROLES]
    path.write_text(json.dumps(tokens), encoding="utf-8")
    return str(path)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    def __init__(self, kid, kind="RS256"):
        self.kid, self.kind = kid, kind
        self.private = rsa.generate_private_key(65537, 2048) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())
        public = self.private.public_key()
        self.pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        n = public.public_numbers()
        self.jwk = {"kid": kid, "use": "sig", "alg": kind}
        self.jwk.update({"kty": "RSA", "n": number(n.n), "e": number(n.e)} if kind == "RS256"
                        else {"kty": "EC", "crv": "P-256", "x": number(n.x, 32), "y": number(n.y, 32)})

    def sign(self, text):
        if self.kind == "RS256":
            return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, header=None, signer=None, claims=None, **changes):
        """A good token, but for these changes of its claims (None: left out) and header."""
        head = {"alg": self.kind, "kid": self.kid, "typ": "JWT", **(header or {})}
        payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 300, "roles": ["admin"], **changes}
        parts = [json.dumps({k: v for k, v in part.items() if v is not None}) for part in (head, payload)]
        text = ".".join(b64(part.encode()) for part in (parts[0], claims or parts[1])).encode()
        return (text + b"." + b64((signer or self.sign)(text)).encode()).decode()


def hmac_with(secret):
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


class Issuer:
    """Gives out its keys, counts who asks; `delay` seconds late."""

    def __init__(self, *keys):
        self.keys, self.asked, self.delay = list(keys), 0, 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                time.sleep(issuer.delay)
                body = json.dumps(issuer.jwks()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwks(self):
        return {"keys": [key.jwk for key in self.keys]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
