/* Who calls, and what they may do: static tokens, JWTs of an issuer, or nobody in particular (dlq.access).
 *
 * A static token is known by its SHA-256 (tokens_file); a JWT by its signature and claims (jwt.h), its role being the highest
 * word of its roles that names one. Files are looked at every 30 s and at a reload, keys by URL are fetched every 5 minutes. A
 * kid that is not known has the keys read or fetched at once, at most every 30 s. What cannot be read keeps the old in force and
 * is logged. Loop thread only.
 */
#ifndef DLQ_ACCESS_H
#define DLQ_ACCESS_H

#include "stepmill/config.h"
#include "stepmill/http_client.h"
#include "stepmill/jwt.h"
#include "stepmill/log.h"
#include "stepmill/loop.h"

enum { WHO_NAME_MAX = JWT_SUBJECT_MAX };

struct who {
    enum { WHO_ANONYMOUS, WHO_TOKEN, WHO_USER } kind;
    enum config_role role;
    char name[WHO_NAME_MAX + 1]; /* of the token, or sub; "anonymous" */
};
const char *who_kind_name(const struct who *w); /* of the API: "anonymous", "token", "user" */
const char *role_name(enum config_role role);   /* "none", "view", … */
enum config_role role_of(struct slice name);    /* CONFIG_ROLE_NONE: names none */

struct access;

/* The config was loaded with CONFIG_NEED_DLQ (a JWKS has issuer and audience) and outlives it, or a reload replaces it. Errors:
 * config bad_tokens_file, bad_jwks, those of http_endpoint_new; internal. The log names the file. */
MUST_CHECK struct error access_new(struct loop *l, const struct config *config, const struct log *log, struct http_client *http,
                                   struct access **out);
/* Before http_client_free. NULL is fine. */
void access_free(struct access *a);
void access_reload(struct access *a, const struct config *config);

/* By the value of the header Authorization; absent: none came. Errors: rejected no_token (and dlq.access.anonymous is none),
 * token_malformed, token_unknown, those of jwt_check: 401. limit no_role (a good token without a role): 403. wait keys_pending
 * (the issuer's keys, or newer ones, are not there yet): 503, or later. */
MUST_CHECK struct error access_check(struct access *a, struct slice authorization, int64_t now_ms, struct who *who);

/* Whether keys are being fetched: then `came` of access_on_keys is called when they are there, or cannot be had. */
bool access_fetches(const struct access *a);
void access_on_keys(struct access *a, void (*came)(void *ctx), void *ctx);

/* Whether a Host header names this machine's loopback, the host of `listen`, or that of `public_url` (NULL: none): else a foreign
 * name leads here (DNS rebinding). */
bool host_is_ours(struct slice host, const char *listen, const char *public_url);

/* For requests that change something: what the browser says about where they come from. True: another site's page made it. */
bool is_cross_site(struct slice host, struct slice origin, struct slice fetch_site);

#endif
