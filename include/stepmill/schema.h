/* An Avro schema as a writer registered it: parsed once, held flat, read by the plan compiler and by the JSON printer.
 *
 * The text comes from outside and is treated as hostile: ceilings on bytes, depth and fields are checked while our own scanner
 * walks it, iteratively. (avro-c's parser is not used: it recurses, and it drops logicalType, without which microseconds can't be
 * told from milliseconds. Unit tests compare with it.) What is kept: types, names, fields, symbols, sizes and the logical types
 * of times. Defaults, docs, aliases and unknown attributes of a writer are of no use to a reader and are skipped. Avro 1.12,
 * "Schema Declaration".
 *
 * A schema never changes after schema_parse; any thread may read it.
 */
#ifndef STEPMILL_SCHEMA_H
#define STEPMILL_SCHEMA_H

#include "bytes.h"
#include "error.h"

struct schema;

struct schema_limits {
    size_t bytes;  /* of the text */
    size_t fields; /* fields, union branches and enum symbols together */
};

/* DESIGN §7; the depth is that of our JSON scanner, 64. */
#define SCHEMA_LIMITS ((struct schema_limits){.bytes = 256 * 1024, .fields = 2000})

/* Room for a sentence of detail, e.g. which field; always terminated, cut when too long, and free of the record's data. */
struct detail {
    char text[192];
};

/* `text` may go afterwards. On error *schema is NULL: class poison with code hostile_schema (past a ceiling, or not a schema at
 * all), or internal (out of memory). `detail` may be NULL. Free with schema_free (NULL is fine). */
MUST_CHECK struct error schema_parse(struct slice text, const struct schema_limits *limits, struct schema **schema,
                                     struct detail *detail);
void schema_free(struct schema *schema);

/* Whether two schemas describe the same bytes and fields: same types, names, symbols, sizes; docs, defaults and aliases aside. */
bool schema_equal(const struct schema *a, const struct schema *b);
/* Bytes of memory held. */
size_t schema_size(const struct schema *schema);

#endif
