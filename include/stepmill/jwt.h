/* JSON Web Tokens of callers (RFC 7519, RFC 7515): RS256 and ES256, keys from a JWKS (RFC 7517).
 *
 * The header is read here, before the library sees it: the algorithm is pinned to the key's type, nothing in the token chooses a
 * key but its kid, and any `crit` is refused (RFC 8725). What a token says counts only after its signature was found good.
 *
 * Pure but for memory; any thread; keys never change after jwt_keys_read.
 */
#ifndef STEPMILL_JWT_H
#define STEPMILL_JWT_H

#include "bytes.h"
#include "error.h"

enum { JWT_SIZE_MAX = 8192, JWT_KEYS_MAX = 64, JWT_SUBJECT_MAX = 256, JWT_ROLES_MAX = 16, JWT_ROLE_MAX = 64 };

struct jwt_keys;

/* Keys that cannot verify RS256 or ES256 are left out: other types and curves, RSA below 2,048 bits, secrets, `use` other than
 * sig, no kid, a kid that occurs twice. Errors: config bad_jwks (not a JWKS, or no key is left); internal out_of_memory. */
MUST_CHECK struct error jwt_keys_read(struct slice jwks, struct jwt_keys **out);
/* NULL is fine. */
void jwt_keys_free(struct jwt_keys *k);
size_t jwt_keys_count(const struct jwt_keys *k);

struct jwt_rules {
    const char *issuer, *audience; /* must be met; never NULL */
    const char *roles_claim;       /* "roles"; with dots a path: "realm_access.roles" */
    int64_t leeway_ms;             /* for exp and nbf */
};

struct jwt_claims {
    char subject[JWT_SUBJECT_MAX + 1]; /* printable */
    char roles[JWT_ROLES_MAX][JWT_ROLE_MAX + 1];
    size_t nroles; /* those beyond, and those that are too long, are left out */
    int64_t expires_ms;
};

/* Errors, class rejected: token_too_large, token_malformed, token_algorithm, token_critical, token_no_kid, token_unknown_kid,
 * token_signature, token_expired (also: no exp), token_not_yet, token_issuer, token_audience, token_subject; internal
 * out_of_memory. */
MUST_CHECK struct error jwt_check(const struct jwt_keys *k, struct slice token, const struct jwt_rules *rules, int64_t now_ms,
                                  struct jwt_claims *claims);

#endif
