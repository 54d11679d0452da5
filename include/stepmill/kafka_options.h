/* Which librdkafka properties a user may not set, and which are secrets. The only list of both. */
#ifndef STEPMILL_KAFKA_OPTIONS_H
#define STEPMILL_KAFKA_OPTIONS_H

#include <stdbool.h>

/* One setting under librdkafka's own name. The strings belong to whoever filled it. */
struct kafka_option {
    const char *name, *value;
};

/* Why `name` may not stand under `kafka:` (one clause, e.g. "offsets are committed in the transaction that carries the results"),
 * or NULL: it is passed to librdkafka as it is, `group.id` excepted. Pure. */
const char *kafka_option_owned(const char *name);

/* Whether its value must never be shown: sasl.password and its like. Unknown names that look like secrets count as such. */
bool kafka_option_secret(const char *name);

#endif
