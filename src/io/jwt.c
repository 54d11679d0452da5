/* JSON Web Tokens: what is checked before, by, and after libjose. */
#include "stepmill/jwt.h"

#include <jansson.h>
#include <jose/jose.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "stepmill/base64url.h"

enum { RSA_BYTES_MIN = 256, RSA_BYTES_MAX = 1024, P256_BYTES = 32, KID_MAX = 256, JWKS_MAX = 1 << 20 };
enum { READ_FLAGS = JSON_REJECT_DUPLICATES };

struct jwt_keys {
    size_t n;
    struct {
        const char *kid, *algorithm; /* algorithm: the only one it is good for */
        json_t *jwk;
    } keys[JWT_KEYS_MAX];
};

static struct error rejected(const char *code, const char *text) { return error_make(CLASS_REJECTED, code, text); }
static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for a token"); }

static const char *text_of(const json_t *object, const char *name) { return json_string_value(json_object_get(object, name)); }

static size_t bytes_of(const json_t *jwk, const char *name) { return json_string_length(json_object_get(jwk, name)) * 3 / 4; }

/* The algorithm that this key verifies, by its type alone; NULL: none of ours. */
static const char *algorithm_of(const json_t *jwk)
{
    const char *type = text_of(jwk, "kty"), *use = text_of(jwk, "use"), *own = text_of(jwk, "alg"), *curve, *fits = NULL;

    if (!type || (use && strcmp(use, "sig") != 0))
        return NULL;
    curve = text_of(jwk, "crv");
    if (!strcmp(type, "RSA") && bytes_of(jwk, "n") >= RSA_BYTES_MIN && bytes_of(jwk, "n") <= RSA_BYTES_MAX && text_of(jwk, "e"))
        fits = "RS256";
    else if (!strcmp(type, "EC") && curve && !strcmp(curve, "P-256") && bytes_of(jwk, "x") == P256_BYTES &&
             bytes_of(jwk, "y") == P256_BYTES)
        fits = "ES256";
    if (!fits || (own && strcmp(own, fits) != 0))
        return NULL;
    return jose_jwk_prm(NULL, jwk, false, "verify") ? fits : NULL;
}

static bool kid_is_single(const json_t *set, const char *kid)
{
    const json_t *jwk;
    size_t i, n = 0;

    json_array_foreach(set, i, jwk)
    {
        const char *other = text_of(jwk, "kid");

        n += other && !strcmp(other, kid);
    }
    return n == 1;
}

static bool take_key(struct jwt_keys *k, const json_t *set, const json_t *jwk)
{
    const char *kid = text_of(jwk, "kid"), *algorithm = json_is_object(jwk) ? algorithm_of(jwk) : NULL;

    if (!algorithm || !kid || !*kid || strlen(kid) > KID_MAX || !kid_is_single(set, kid) || k->n == JWT_KEYS_MAX)
        return true;
    k->keys[k->n].jwk = json_deep_copy(jwk);
    if (!k->keys[k->n].jwk)
        return false;
    k->keys[k->n].kid = text_of(k->keys[k->n].jwk, "kid");
    k->keys[k->n].algorithm = algorithm;
    k->n++;
    return true;
}

struct error jwt_keys_read(struct slice jwks, struct jwt_keys **out)
{
    struct jwt_keys *k = calloc(1, sizeof *k);
    json_t *root = jwks.len <= JWKS_MAX ? json_loadb(jwks.at, jwks.len, READ_FLAGS, NULL) : NULL;
    const json_t *set = json_object_get(root, "keys"), *jwk;
    bool good = k != NULL;
    size_t i;

    json_array_foreach(set, i, jwk) good = good && take_key(k, set, jwk);
    json_decref(root);
    *out = NULL;
    if (!good) {
        jwt_keys_free(k);
        return out_of_memory();
    }
    if (!k->n) {
        jwt_keys_free(k);
        return error_make(CLASS_CONFIG, "bad_jwks", "the JWKS is not JSON, or holds no key for RS256 or ES256 with a kid");
    }
    *out = k;
    return error_none();
}

void jwt_keys_free(struct jwt_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        json_decref(k->keys[i].jwk);
    free(k);
}

size_t jwt_keys_count(const struct jwt_keys *k) { return k->n; }

/* The JSON object that a part of the token holds. */
static json_t *read_part(struct slice part)
{
    uint8_t bytes[JWT_SIZE_MAX];
    json_t *object = NULL;
    size_t n = 0;

    if (part.len && base64url_decode(bytes, &n, part.at, part.len))
        object = json_loadb((const char *)bytes, n, READ_FLAGS, NULL);
    if (object && json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

static bool cut(struct slice token, struct slice parts[3])
{
    const char *first = memchr(token.at, '.', token.len), *second, *end = token.at + token.len;

    second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    parts[0] = (struct slice){token.at, (size_t)(first - token.at)};
    parts[1] = (struct slice){first + 1, (size_t)(second - first - 1)};
    parts[2] = (struct slice){second + 1, (size_t)(end - second - 1)};
    return parts[0].len && parts[1].len && parts[2].len;
}

/* Which key, by the header alone. */
static struct error choose_key(const struct jwt_keys *k, const json_t *header, const json_t **jwk)
{
    const char *algorithm = text_of(header, "alg"), *kid = text_of(header, "kid"), *type = text_of(header, "typ");

    if (json_object_get(header, "crit") || json_object_get(header, "b64"))
        return rejected("token_critical", "the token's header has crit, which is not supported");
    if (!algorithm || (strcmp(algorithm, "RS256") != 0 && strcmp(algorithm, "ES256") != 0))
        return rejected("token_algorithm", "the token must be signed with RS256 or ES256");
    if (json_object_get(header, "typ") && (!type || (strcasecmp(type, "JWT") != 0 && strcasecmp(type, "at+jwt") != 0)))
        return rejected("token_malformed", "the token's typ must be JWT or at+jwt");
    if (!kid || !*kid)
        return rejected("token_no_kid", "the token's header has no kid");
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->keys[i].kid, kid) != 0)
            continue;
        if (strcmp(k->keys[i].algorithm, algorithm) != 0)
            return rejected("token_algorithm", "the token's algorithm is not that of its key");
        *jwk = k->keys[i].jwk;
        return error_none();
    }
    return rejected("token_unknown_kid", "the token's kid is not among the issuer's keys");
}

static struct error verify(const struct slice parts[3], const json_t *jwk)
{
    json_t *jws = json_pack("{s:s%,s:s%,s:s%}", "protected", parts[0].at, parts[0].len, "payload", parts[1].at, parts[1].len,
                            "signature", parts[2].at, parts[2].len);
    bool good = jws && jose_jws_ver(NULL, jws, NULL, jwk, false);

    if (!jws)
        return out_of_memory();
    json_decref(jws);
    return good ? error_none() : rejected("token_signature", "the token's signature does not hold");
}

/* Seconds, as RFC 7519 has them: an integer or a fraction. */
static bool read_time(const json_t *payload, const char *name, int64_t *ms)
{
    double seconds = json_number_value(json_object_get(payload, name));

    if (!json_is_number(json_object_get(payload, name)) || !(seconds >= 0 && seconds < 1e11))
        return false;
    *ms = (int64_t)floor(seconds * 1000);
    return true;
}

static bool is_for(const json_t *audience, const char *us)
{
    const json_t *one;
    size_t i;

    if (json_is_string(audience))
        return !strcmp(json_string_value(audience), us);
    json_array_foreach(audience, i, one) if (json_is_string(one) && !strcmp(json_string_value(one), us)) return true;
    return false;
}

static void take_role(struct jwt_claims *c, const char *role, size_t len)
{
    if (len && len <= JWT_ROLE_MAX && c->nroles < JWT_ROLES_MAX) {
        memcpy(c->roles[c->nroles], role, len);
        c->roles[c->nroles++][len] = '\0';
    }
}

static const json_t *find_claim(const json_t *payload, const char *path)
{
    const json_t *found = json_object_get(payload, path);

    while (!found && path) {
        const char *dot = strchr(path, '.');

        if (!dot)
            return json_object_get(payload, path);
        payload = json_object_getn(payload, path, (size_t)(dot - path));
        path = dot + 1;
    }
    return found;
}

/* "view redrive" as of RFC 8693's scope, or a list of words. */
static void take_roles(struct jwt_claims *c, const json_t *roles)
{
    const json_t *one;
    size_t i;

    if (json_is_string(roles))
        for (const char *at = json_string_value(roles); *at;) {
            size_t len = strcspn(at, " ");

            take_role(c, at, len);
            at += len + (at[len] == ' ');
        }
    json_array_foreach(roles, i, one) if (json_is_string(one)) take_role(c, json_string_value(one), json_string_length(one));
}

static struct error check_claims(const json_t *payload, const struct jwt_rules *rules, int64_t now_ms, struct jwt_claims *c)
{
    const json_t *before = json_object_get(payload, "nbf");
    const char *issuer = text_of(payload, "iss"), *subject = text_of(payload, "sub");
    int64_t not_before_ms;

    if (!read_time(payload, "exp", &c->expires_ms) || now_ms >= c->expires_ms + rules->leeway_ms)
        return rejected("token_expired", "the token has expired, or has no exp");
    if (before && (!read_time(payload, "nbf", &not_before_ms) || now_ms < not_before_ms - rules->leeway_ms))
        return rejected("token_not_yet", "the token does not hold yet (nbf)");
    if (!issuer || strcmp(issuer, rules->issuer) != 0)
        return rejected("token_issuer", "the token comes from another issuer (iss)");
    if (!is_for(json_object_get(payload, "aud"), rules->audience))
        return rejected("token_audience", "the token is for another audience (aud)");
    if (!subject || !*subject || strlen(subject) > JWT_SUBJECT_MAX)
        return rejected("token_subject", "the token has no sub, or too long a one");
    for (const char *at = subject; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return rejected("token_subject", "the token's sub holds control characters");
    memcpy(c->subject, subject, strlen(subject) + 1);
    take_roles(c, find_claim(payload, rules->roles_claim));
    return error_none();
}

struct error jwt_check(const struct jwt_keys *k, struct slice token, const struct jwt_rules *rules, int64_t now_ms,
                       struct jwt_claims *claims)
{
    const json_t *jwk = NULL;
    struct slice parts[3];
    json_t *header, *payload;
    struct error e;

    memset(claims, 0, sizeof *claims);
    if (token.len > JWT_SIZE_MAX)
        return rejected("token_too_large", "the token is larger than 8 KiB");
    if (!cut(token, parts))
        return rejected("token_malformed", "the token is not three parts of base64url");
    header = read_part(parts[0]);
    e = header ? choose_key(k, header, &jwk) : rejected("token_malformed", "the token's header is not JSON");
    json_decref(header);
    if (!failed(e))
        e = verify(parts, jwk);
    if (failed(e))
        return e;
    payload = read_part(parts[1]);
    e = payload ? check_claims(payload, rules, now_ms, claims) : rejected("token_malformed", "the token's claims are not JSON");
    json_decref(payload);
    return e;
}
