/* Writing Avro binary (Avro 1.12, "Binary Encoding"): one function per type. Failure shows in `to->failed`, looked at once at the
 * end. */
#ifndef STEPMILL_AVRO_PUT_H
#define STEPMILL_AVRO_PUT_H

#include "bytes.h"

void avro_put_long(struct buf *to, int64_t v); /* int, long, enum, union branch, array count */
void avro_put_bool(struct buf *to, bool v);
void avro_put_string(struct buf *to, struct slice s);          /* absent is written as empty */
void avro_put_optional_string(struct buf *to, struct slice s); /* ["null", "string"]: absent is null */
/* ["null", "int" or "long"]: `v` equal to `none` is null. */
void avro_put_optional_long(struct buf *to, int64_t v, int64_t none);

#endif
