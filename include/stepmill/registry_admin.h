/* What `stepmill schemas` and `doctor` ask of the registry. Every function turns the loop until the answer is there: for commands
 * only. */
#ifndef STEPMILL_REGISTRY_ADMIN_H
#define STEPMILL_REGISTRY_ADMIN_H

#include "registry.h"

/* Errors of all: again (unreachable, time-out, 5xx), config registry_refused (401, 403), registry_bad_answer; `detail` says what
 * came. */

/* The id of exactly this text under the subject. config schema_not_registered: the subject or this schema is not there. */
MUST_CHECK struct error registry_lookup(struct registry *r, const char *subject, struct slice text, uint32_t *id,
                                        struct detail *detail);
/* Registers (or finds) the text. config schema_incompatible: 409, `detail` has the registry's words; schema_invalid: 422. */
MUST_CHECK struct error registry_register(struct registry *r, const char *subject, struct slice text, uint32_t *id,
                                          struct detail *detail);
/* The latest version: its text, unescaped, appended. config schema_not_registered. */
MUST_CHECK struct error registry_latest(struct registry *r, const char *subject, uint32_t *id, int64_t *version, struct buf *text,
                                        struct detail *detail);
/* "BACKWARD", "NONE" …: of the subject, or the registry's default where the subject has none of its own (*own false). */
MUST_CHECK struct error registry_compatibility(struct registry *r, const char *subject, char level[32], bool *own,
                                               struct detail *detail);
MUST_CHECK struct error registry_set_compatibility(struct registry *r, const char *subject, const char *level,
                                                   struct detail *detail);

#endif
