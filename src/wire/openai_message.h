/* A provider's words, made fit for logs and dead letters. */
#ifndef STEPMILL_WIRE_OPENAI_MESSAGE_H
#define STEPMILL_WIRE_OPENAI_MESSAGE_H

#include "stepmill/bytes.h"

/* One line of at most OPENAI_MESSAGE_MAX bytes and a mark where it was cut; without control characters, broken UTF-8, or anything
 * that looks like a key. `raw`: a JSON string as written; absent: the body itself. Terminated. */
void openai_message(struct slice raw, struct slice body, char *message);

#endif
