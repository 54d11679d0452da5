/* Durations and sizes as people write them: "20ms", "30s", "7d"; "512B", "64KiB", "1MiB". */
#ifndef STEPMILL_UNITS_H
#define STEPMILL_UNITS_H

#include "bytes.h"

/* A whole number and one of ms, s, m, h, d, or "0"; the value is milliseconds. Returns what is wrong, to stand behind the quoted
 * text
 * ("is not a duration: …", static), or NULL. */
const char *duration_read(struct slice text, int64_t *ms);
/* A whole number and one of B, KiB, MiB, GiB, or "0". */
const char *size_read(struct slice text, int64_t *bytes);

/* The shortest exact form: 90000 → "90s". Not negative. */
void duration_write(int64_t ms, struct buf *to);
void size_write(int64_t bytes, struct buf *to);

#endif
