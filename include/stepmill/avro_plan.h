/* Reading hostile Avro: a writer's schema and a reader's table of fields are compiled once to a flat plan; decoding runs it over
 * the bytes.
 *
 * The reader is not a schema but a C table: which field goes to which member of which struct. Resolution follows Avro 1.12,
 * "Schema Resolution", with these rules of ours: record names and namespaces of the writer don't matter, except as the branches
 * of a union; fields are taken by the reader's name or alias, unknown ones are skipped, missing optional ones get `none`; a
 * nullable writer may feed a plain reader as long as no null comes, and a plain writer a nullable reader; int and long are read
 * into either where the value fits; string and bytes are one, and must be UTF-8; a time is converted from the writer's logical
 * type (-millis, -micros, -nanos; none: the reader's unit).
 *
 * Decoding is iterative: every length is checked against what remains, nesting is at most 64, elements are budgeted by the bytes
 * there are (array<null> x 2^40 costs nothing), and no byte may be left over. Nothing is copied: slices in the struct point into
 * the bytes decoded; arrays live in the arena.
 *
 * A plan never changes after avro_plan_new; any thread may run it.
 */
#ifndef STEPMILL_AVRO_PLAN_H
#define STEPMILL_AVRO_PLAN_H

#include "arena.h"
#include "error.h"
#include "schema.h"

enum avro_take_kind {
    TAKE_STRING, /* struct slice; null: absent; missing: absent if nullable, else empty */
    TAKE_INT,    /* int32_t; null or missing: `none` */
    TAKE_LONG,   /* int64_t; as TAKE_INT */
    TAKE_BOOL,   /* bool; as TAKE_INT */
    TAKE_MILLIS, /* int64_t, Unix milliseconds; as TAKE_INT */
    TAKE_MICROS, /* int64_t, Unix microseconds; as TAKE_INT */
    TAKE_ENUM,   /* int (a C enum): index into `symbols`; a symbol of the writer that the reader lacks: `none` if optional */
    TAKE_FIXED,  /* `max` bytes, copied */
    TAKE_RECORD, /* a struct within the struct, by `record` */
    TAKE_ARRAY,  /* pointer to structs by `record`, and a size_t at `count`; missing: empty */
    TAKE_MAP,    /* as TAKE_ARRAY; `record` must be the table of {key, value} and its first field is the key */
    TAKE_ONE_OF, /* a C union of structs and an int at `count` that tells which; `branches` by record name */
};

struct avro_record;

/* One field that the reader wants. */
struct avro_take {
    const char *name;
    const char *alias; /* an older name, NULL: none */
    enum avro_take_kind kind;
    size_t at;     /* offset of the member */
    size_t count;  /* offset of the size_t that counts (array, map), or of the int that tells (one of) */
    bool nullable; /* the writer may send null */
    bool optional; /* the writer may not have the field at all */
    int64_t none;  /* the value for null or missing */
    size_t max;    /* elements of an array or map (more: an error, never cut); bytes of a fixed */
    const struct avro_record *record;
    const char *const *symbols;                /* NULL-terminated */
    const struct avro_record *const *branches; /* NULL-terminated; index = what is written at `count` */
};

/* A struct and what fills it. Static tables: a plan keeps pointers into them. */
struct avro_record {
    const char *name; /* matched only as the branch of a union */
    size_t size;      /* of the struct */
    const struct avro_take *takes;
    size_t n; /* <= 64 */
};

struct avro_plan;

/* Compiles. `schema` may go afterwards. Errors: poison hostile_schema (the plan would pass its ceiling), internal out_of_memory.
 * A field that is missing or of a type that does not fit, or a schema that is no record, is no error here: the plan says so when
 * it runs, after reading what can be read. */
MUST_CHECK struct error avro_plan_new(const struct schema *schema, const struct avro_record *reader, struct avro_plan **plan,
                                      struct detail *detail);
void avro_plan_free(struct avro_plan *plan);
const struct avro_record *avro_plan_reader(const struct avro_plan *plan);
size_t avro_plan_size(const struct avro_plan *plan);

/* Fills `*to` (the reader's struct; zeroed first) from the whole of `bytes`, the Avro binary without its wire header.
 *
 * Two kinds of failure, both class poison: code does_not_decode means that the bytes don't follow the writer's schema, nothing in
 * `*to` can be trusted, and it is zeroed again; every other code means that the bytes are sound but not what the reader needs:
 * `*to` holds what could be read. Those codes: missing_field (also: null where none may be), wrong_type, bad_utf8, out_of_range
 * (int), unknown_symbol, unknown_branch, too_many_elements. At the arena's ceiling: class poison, code too_large, zeroed; without
 * memory: internal out_of_memory, zeroed. The first trouble is told; `detail` names the field. */
MUST_CHECK struct error avro_plan_decode(const struct avro_plan *plan, struct slice bytes, struct arena *arena, void *to,
                                         struct detail *detail);

#endif
