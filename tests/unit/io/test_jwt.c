/* jwt: tokens that hold, and a table of attacks that must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <jose/jose.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "stepmill/base64url.h"
#include "stepmill/jwt.h"

static const int64_t now = 1800000000000;
static const struct jwt_rules rules = {"https://issuer.example/", "stepmill", "roles", 30000};

struct world {
    json_t *rsa, *ec, *stranger; /* private keys */
    json_t *weak;
    struct jwt_keys *keys;
};

static json_t *make_key(const char *recipe, const char *kid)
{
    json_t *key = json_loads(recipe, 0, NULL);

    assert_true(jose_jwk_gen(NULL, key));
    assert_int_equal(json_object_set_new(key, "kid", json_string(kid)), 0);
    return key;
}

static json_t *public_of(const json_t *key)
{
    json_t *copy = json_deep_copy(key);

    assert_true(jose_jwk_pub(NULL, copy));
    return copy;
}

static struct error read_keys(json_t *list, struct jwt_keys **keys)
{
    json_t *set = json_pack("{s:o}", "keys", list);
    char *text = json_dumps(set, 0);
    struct error e = jwt_keys_read(slice_of(text), keys);

    free(text);
    json_decref(set);
    return e;
}

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->rsa = make_key("{\"kty\":\"RSA\",\"bits\":2048}", "rsa-1");
    w->ec = make_key("{\"kty\":\"EC\",\"crv\":\"P-256\"}", "ec-1");
    w->stranger = make_key("{\"kty\":\"EC\",\"crv\":\"P-256\"}", "ec-1");
    w->weak = public_of(w->rsa); /* of 1,024 bits: the library makes none */
    json_object_set_new(w->weak, "kid", json_string("weak"));
    json_object_set_new(w->weak, "n", json_stringn(json_string_value(json_object_get(w->rsa, "n")), 171));
    assert_false(failed(read_keys(json_pack("[o,o,o]", public_of(w->rsa), public_of(w->ec), json_incref(w->weak)), &w->keys)));
    *state = w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    json_decref(w->rsa);
    json_decref(w->ec);
    json_decref(w->stranger);
    json_decref(w->weak);
    jwt_keys_free(w->keys);
    free(w);
    return 0;
}

static json_t *good_claims(void)
{
    return json_pack("{s:s,s:s,s:s,s:I,s:[s,s]}", "iss", "https://issuer.example/", "aud", "stepmill", "sub", "ann", "exp",
                     (json_int_t)(now / 1000 + 300), "roles", "view", "redrive");
}

static char *encode(const void *bytes, size_t n)
{
    char *text = malloc(base64url_length(n) + 1);

    base64url_encode(text, bytes, n);
    return text;
}

static char *encode_json(const json_t *value)
{
    char *plain = json_dumps(value, JSON_COMPACT), *text = encode(plain, strlen(plain));

    free(plain);
    return text;
}

/* A token of these claims, signed by this key; both are taken over. */
static char *sign(const json_t *key, json_t *header, json_t *claims)
{
    char *payload = encode_json(claims), *token;
    json_t *jws = json_pack("{s:s}", "payload", payload), *signature = json_pack("{s:O}", "protected", header);

    assert_true(jose_jws_sig(NULL, jws, signature, key));
    assert_true(asprintf(&token, "%s.%s.%s", json_string_value(json_object_get(jws, "protected")), payload,
                         json_string_value(json_object_get(jws, "signature"))) > 0);
    free(payload);
    json_decref(jws);
    json_decref(signature);
    json_decref(header);
    json_decref(claims);
    return token;
}

static json_t *head(const char *algorithm, const char *kid) { return json_pack("{s:s,s:s}", "alg", algorithm, "kid", kid); }

/* What the token comes to: "" or the code; it is freed. */
static const char *code_of(const struct world *w, char *token)
{
    struct jwt_claims claims;
    struct error e = jwt_check(w->keys, slice_of(token), &rules, now, &claims);

    free(token);
    assert_true(!failed(e) || e.class == CLASS_REJECTED);
    return failed(e) ? e.code : "";
}

static void good_tokens_hold(void **state)
{
    const struct world *w = *state;
    struct jwt_claims c;
    char *token = sign(w->rsa, head("RS256", "rsa-1"), good_claims());
    json_t *claims = good_claims();

    assert_int_equal(jwt_keys_count(w->keys), 2); /* the weak one is left out */
    assert_false(failed(jwt_check(w->keys, slice_of(token), &rules, now, &c)));
    assert_string_equal(c.subject, "ann");
    assert_int_equal(c.nroles, 2);
    assert_string_equal(c.roles[1], "redrive");
    assert_int_equal(c.expires_ms, now + 300000);
    free(token);
    json_object_set_new(claims, "aud", json_pack("[s,s]", "other", "stepmill"));
    json_object_set_new(claims, "roles", json_string("admin view"));
    json_object_set_new(claims, "nbf", json_integer(now / 1000 + 20)); /* within the leeway */
    token = sign(w->ec, json_pack("{s:s,s:s,s:s}", "alg", "ES256", "kid", "ec-1", "typ", "at+JWT"), claims);
    assert_false(failed(jwt_check(w->keys, slice_of(token), &rules, now, &c)));
    assert_int_equal(c.nroles, 2);
    assert_string_equal(c.roles[0], "admin");
    free(token);
    claims = good_claims();
    json_object_set_new(claims, "realm", json_pack("{s:[s]}", "roles", "edit"));
    token = sign(w->ec, head("ES256", "ec-1"), claims);
    assert_false(failed(
        jwt_check(w->keys, slice_of(token), &(struct jwt_rules){rules.issuer, rules.audience, "realm.roles", 0}, now, &c)));
    assert_string_equal(c.roles[0], "edit");
    free(token);
}

static char *with_header(const struct world *w, json_t *header) { return sign(w->rsa, header, good_claims()); }

static char *with_claim(const struct world *w, const char *name, json_t *value)
{
    json_t *claims = good_claims();

    if (value)
        json_object_set_new(claims, name, value);
    else
        json_object_del(claims, name);
    return sign(w->rsa, head("RS256", "rsa-1"), claims);
}

/* HS256 with the public key as the secret: as JWK text and as PEM the attack is the same to us. */
static char *confused(const struct world *w)
{
    json_t *header = head("HS256", "rsa-1"), *claims = good_claims(), *key = public_of(w->rsa);
    char *a = encode_json(header), *b = encode_json(claims), *secret = json_dumps(key, JSON_COMPACT), *text, *s, *token;
    unsigned char mac[32];
    unsigned n = sizeof mac;

    assert_true(asprintf(&text, "%s.%s", a, b) > 0);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)text, strlen(text), mac, &n);
    s = encode(mac, n);
    assert_true(asprintf(&token, "%s.%s", text, s) > 0);
    json_decref(header);
    json_decref(claims);
    json_decref(key);
    free(a);
    free(b);
    free(s);
    free(secret);
    free(text);
    return token;
}

static char *unsigned_token(const char *algorithm, const char *signature)
{
    json_t *header = head(algorithm, "rsa-1"), *claims = good_claims();
    char *a = encode_json(header), *b = encode_json(claims), *token;

    assert_true(asprintf(&token, "%s.%s.%s", a, b, signature) > 0);
    json_decref(header);
    json_decref(claims);
    free(a);
    free(b);
    return token;
}

static void headers_choose_nothing(void **state)
{
    const struct world *w = *state;
    json_t *own = public_of(w->stranger);

    assert_string_equal(code_of(w, unsigned_token("none", "")), "token_malformed");
    assert_string_equal(code_of(w, unsigned_token("none", "AAAA")), "token_algorithm");
    assert_string_equal(code_of(w, unsigned_token("nOnE", "AAAA")), "token_algorithm");
    assert_string_equal(code_of(w, unsigned_token("RS256", "AAAA")), "token_signature");
    assert_string_equal(code_of(w, confused(w)), "token_algorithm");
    assert_string_equal(code_of(w, with_header(w, head("RS512", "rsa-1"))), "token_algorithm");
    assert_string_equal(code_of(w, with_header(w, head("PS256", "rsa-1"))), "token_algorithm");
    assert_string_equal(code_of(w, with_header(w, head("RS256", "ec-1"))), "token_algorithm");
    assert_string_equal(code_of(w, with_header(w, head("RS256", "nobody"))), "token_unknown_kid");
    assert_string_equal(code_of(w, with_header(w, head("RS256", "weak"))), "token_unknown_kid");
    assert_string_equal(code_of(w, with_header(w, json_pack("{s:s}", "alg", "RS256"))), "token_no_kid");
    assert_string_equal(code_of(w, with_header(w, json_pack("{s:s,s:i}", "alg", "RS256", "kid", 1))), "token_no_kid");
    assert_string_equal(
        code_of(w, with_header(w, json_pack("{s:s,s:s,s:[s],s:i}", "alg", "RS256", "kid", "rsa-1", "crit", "exp", "exp", 1))),
        "token_critical");
    assert_string_equal(code_of(w, with_header(w, json_pack("{s:s,s:s,s:[]}", "alg", "RS256", "kid", "rsa-1", "crit"))),
                        "token_critical");
    assert_string_equal(code_of(w, with_header(w, json_pack("{s:s,s:s,s:s}", "alg", "RS256", "kid", "rsa-1", "typ", "JWE"))),
                        "token_malformed");
    /* its own key in the header, under a name that is known */
    assert_string_equal(
        code_of(w, sign(w->stranger, json_pack("{s:s,s:s,s:o}", "alg", "ES256", "kid", "ec-1", "jwk", own), good_claims())),
        "token_signature");
    assert_string_equal(code_of(w, sign(w->stranger, head("ES256", "ec-1"), good_claims())), "token_signature");
}

static void claims_are_checked(void **state)
{
    const struct world *w = *state;
    char *long_name = malloc(JWT_SUBJECT_MAX + 2);

    memset(long_name, 'a', JWT_SUBJECT_MAX + 1);
    long_name[JWT_SUBJECT_MAX + 1] = '\0';
    assert_string_equal(code_of(w, with_claim(w, "exp", json_integer(now / 1000 - 31))), "token_expired");
    assert_string_equal(code_of(w, with_claim(w, "exp", NULL)), "token_expired");
    assert_string_equal(code_of(w, with_claim(w, "exp", json_string("2000000000"))), "token_expired");
    assert_string_equal(code_of(w, with_claim(w, "exp", json_real(1e300))), "token_expired");
    assert_string_equal(code_of(w, with_claim(w, "exp", json_integer(-1))), "token_expired");
    assert_string_equal(code_of(w, with_claim(w, "nbf", json_integer(now / 1000 + 31))), "token_not_yet");
    assert_string_equal(code_of(w, with_claim(w, "nbf", json_true())), "token_not_yet");
    assert_string_equal(code_of(w, with_claim(w, "iss", json_string("https://issuer.example"))), "token_issuer");
    assert_string_equal(code_of(w, with_claim(w, "iss", NULL)), "token_issuer");
    assert_string_equal(code_of(w, with_claim(w, "aud", json_string("stepmill2"))), "token_audience");
    assert_string_equal(code_of(w, with_claim(w, "aud", json_array())), "token_audience");
    assert_string_equal(code_of(w, with_claim(w, "aud", NULL)), "token_audience");
    assert_string_equal(code_of(w, with_claim(w, "sub", json_string(""))), "token_subject");
    assert_string_equal(code_of(w, with_claim(w, "sub", json_string("a\nb"))), "token_subject");
    assert_string_equal(code_of(w, with_claim(w, "sub", json_string(long_name))), "token_subject");
    assert_string_equal(code_of(w, with_claim(w, "roles", json_integer(7))), "");
    free(long_name);
}

/* Each character of a good token changed, cut or doubled: never another's claims, never a crash. */
static void no_tampering_holds(void **state)
{
    const struct world *w = *state;
    char *good = sign(w->ec, head("ES256", "ec-1"), good_claims()), *payload_end = strrchr(good, '.');
    size_t n = strlen(good);

    for (size_t i = 0; i < (size_t)(payload_end - good); i++) {
        char *bad = strdup(good);

        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_string_not_equal(code_of(w, bad), "");
    }
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(code_of(w, strndup(good, i)), "");
    for (size_t i = 0; i + 3 < n; i += 5) { /* the last bits of a part may be spare */
        char *bad = malloc(n + 2);

        memcpy(bad, good, i);
        bad[i] = '.';
        memcpy(bad + i + 1, good + i, n - i + 1);
        assert_string_not_equal(code_of(w, bad), "");
    }
    free(good);
}

static void odd_texts_are_refused(void **state)
{
    const struct world *w = *state;
    char *huge = malloc(1 << 20);
    static const char *const odd[] = {
        "",           ".",           "..",         "...", "a.b", "a.b.c", "e30.e30.e30", "e30..e30", "bnVsbA.e30.AA",
        "W10.e30.AA", " e30.e30.AA", "e30=.e30.AA"};

    memset(huge, 'A', (1 << 20) - 1);
    huge[(1 << 20) - 1] = '\0';
    assert_string_equal(code_of(w, huge), "token_too_large");
    assert_string_equal(code_of(w, with_claim(w, "pad", json_stringn("xxxxxxxxxxxxxxxx", 16))), "");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_string_not_equal(code_of(w, strdup(odd[i])), "");
}

static void key_sets_are_checked(void **state)
{
    const struct world *w = *state;
    struct jwt_keys *keys;
    json_t *use = public_of(w->rsa), *twice = json_pack("[o,o]", public_of(w->ec), public_of(w->stranger));
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"keys\":[]}",
                                      "{\"keys\":{}}",
                                      "{\"keys\":[1,null]}",
                                      "{\"keys\":[",
                                      "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"rsa-1\"}]}",
                                      "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":5,\"e\":\"AQAB\"}]}"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(jwt_keys_read(slice_of(bad[i]), &keys).code, "bad_jwks");
    json_object_set_new(use, "use", json_string("enc"));
    assert_string_equal(read_keys(json_pack("[o]", use), &keys).code, "bad_jwks");
    assert_string_equal(read_keys(twice, &keys).code, "bad_jwks"); /* whose kid is it? */
    assert_null(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tokens_hold),   cmocka_unit_test(headers_choose_nothing), cmocka_unit_test(claims_are_checked),
        cmocka_unit_test(no_tampering_holds), cmocka_unit_test(odd_texts_are_refused),  cmocka_unit_test(key_sets_are_checked),
    };

    return cmocka_run_group_tests(tests, make_world, free_world);
}
