/* What the two halves of the compiler share: what is taken (avro_compile.c), what is skipped (avro_skip.c). */
#ifndef STEPMILL_AVRO_COMPILE_H
#define STEPMILL_AVRO_COMPILE_H

#include "avro_ops.h"
#include "schema_nodes.h"

enum { OPS_MAX = 20000, TABLE_MAX = 20000 };

struct compile {
    const struct schema *schema;
    struct op *ops;
    uint32_t *table;
    const struct avro_take **fields;
    uint32_t nops, ntable, nfields, ops_room, table_room, fields_room;
    uint32_t *skip_at; /* by node: address of the steps that skip this record, 0: not asked for */
    uint32_t *wanted;  /* records that something skips */
    uint32_t nwanted;
    uint16_t field; /* of the ops being emitted */
    struct error error;
};

/* Returns the address. Past the ceiling: sets the error and returns 0, which may be written to like any address. */
uint32_t compile_emit(struct compile *c, struct op op);
/* `n` places in the table; the index of the first. On error *ok is false. */
uint32_t compile_table(struct compile *c, uint32_t n, bool *ok);

/* A step for each branch of a union, by `each`. */
typedef void compile_branch(struct compile *c, uint32_t node, const struct avro_take *take, size_t base);
void compile_union(struct compile *c, uint32_t node, compile_branch *each, const struct avro_take *take, size_t base);

void compile_skip(struct compile *c, uint32_t node);
/* Emits the steps of all records skipped and puts their addresses into the calls. */
void compile_skipped_records(struct compile *c);

#endif
