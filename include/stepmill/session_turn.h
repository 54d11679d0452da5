/* One message of session memory as it lies in Redis: {"role":"user","content":"…"} (REQUIREMENTS C1). */
#ifndef STEPMILL_SESSION_TURN_H
#define STEPMILL_SESSION_TURN_H

#include "arena.h"
#include "event.h"

void session_turn_put(struct buf *to, const struct turn *turn);
/* Unknown members are skipped. False: not such an object, another role than user and assistant, or no memory. The strings lie in
 * the arena. */
bool session_turn_read(struct slice json, struct arena *arena, struct turn *turn);

#endif
