/* Idempotency keys: "<task_id>/<seq>/<8 hex of SHA-256(what is called, body)>": the same after a crash, another when the call is
 * another (DELIVERY §2). */
#ifndef STEPMILL_IDEMPOTENCY_H
#define STEPMILL_IDEMPOTENCY_H

#include "bytes.h"
#include "digest.h"

enum { IDEMPOTENCY_KEY_MAX = 128 + 1 + 11 + 1 + 8 + 1, IDEMPOTENCY_HEADER_MAX = 2 * IDEMPOTENCY_KEY_MAX + 2 };

/* `parts`: a tool's name, version and body. Each is hashed with its length,
 * except that the `nbody` last parts are one body. Writes a terminated text; returns its length. */
size_t idempotency_key(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct slice *parts,
                       size_t nparts, size_t nbody);

/* For a model, whose body grows from call to call: idempotency_begin with its API, digest_add with each piece of the body, and
 * idempotency_end for the key of what was added so far. */
void idempotency_begin(struct digest_state *s, struct slice called);
size_t idempotency_end(char text[IDEMPOTENCY_KEY_MAX], struct slice task_id, int32_t seq, const struct digest_state *s);

/* The key as the header's value: a String of RFC 8941 §3.3.3, in quotes, with each backslash and quote behind a backslash. */
struct slice idempotency_header(char text[IDEMPOTENCY_HEADER_MAX], struct slice key);

#endif
