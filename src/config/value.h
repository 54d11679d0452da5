/* Values as people write them: text into members and back. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "options.h"
#include "stepmill/arena.h"

/* Reads a scalar of type STRING, TEXT, INT, BOOL, DOUBLE, DURATION, SIZE, ENUM, URL, ADDRESS or TOPIC into `base` (the struct of
 * the option's scope), strings copied to the arena. False: `why` says what is wrong, without the value where it may be secret. */
bool value_read(const struct option *o, struct slice text, void *base, struct arena *a, struct buf *why);
/* What is wrong with a topic name, or NULL. `is_prefix`: an agent's name is put behind it. */
const char *value_wrong_topic(struct slice text, bool is_prefix);

/* Whether the member of `base` is set, and its text as it would be written in a file, without quotes. A secret gives its value:
 * for comparing only. Lists are separated by ", ". */
bool value_is_set(const struct option *o, const void *base);
void value_write(const struct option *o, const void *base, struct buf *to);

/* The limits of a number as text: "1", "25", "100ms", "64MiB". */
void value_write_number(const struct option *o, int64_t value, struct buf *to);

static inline void *option_at(const struct option *o, void *base) { return (char *)base + o->offset; }
static inline const void *option_at_const(const struct option *o, const void *base) { return (const char *)base + o->offset; }

#endif
