/* Which dead letters have one cause: a hash of class, stage and the message without what differs from case to case. */
#ifndef STEPMILL_FINGERPRINT_H
#define STEPMILL_FINGERPRINT_H

#include "bytes.h"

enum { FINGERPRINT_LENGTH = 16 };

/* 16 hex digits of SHA-256 and a terminator. Numbers, ids, hex, addresses and quoted text are taken out of the message first;
 * only its first 1,000 bytes count. */
void fingerprint(char text[FINGERPRINT_LENGTH + 1], struct slice class, struct slice stage, struct slice message);
/* The message as hashed, appended; for tests and for headings in lists. */
void fingerprint_normalise(struct slice message, struct buf *to);

#endif
