/* The half of the plan that steps over what the reader does not want, and the pieces both halves are made of. */
#include <stdlib.h>

#include "avro_compile.h"

/* Doubles an array; false with the error set when there is no memory or it would pass `max`. */
static bool grow(struct compile *c, void **array, uint32_t *room, uint32_t need, uint32_t max, size_t size)
{
    uint32_t more = *room ? *room : 32;
    void *bigger;

    while (more < need)
        more *= 2;
    if (more == *room)
        return true;
    bigger = need > max ? NULL : realloc(*array, more * size);
    if (!bigger) {
        if (!failed(c->error))
            c->error = need > max ? error_make(CLASS_POISON, "hostile_schema", "The writer's schema makes too large a plan.")
                                  : error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a plan.");
        return false;
    }
    *array = bigger;
    *room = more;
    return true;
}

uint32_t compile_emit(struct compile *c, struct op op)
{
    void *ops = c->ops;

    if (failed(c->error) || !grow(c, &ops, &c->ops_room, c->nops + 1, OPS_MAX, sizeof op))
        return 0;
    c->ops = ops;
    op.field = c->field;
    c->ops[c->nops] = op;
    return c->nops++;
}

uint32_t compile_table(struct compile *c, uint32_t n, bool *ok)
{
    void *table = c->table;

    *ok = !failed(c->error) && grow(c, &table, &c->table_room, c->ntable + n, TABLE_MAX, sizeof *c->table);
    if (!*ok)
        return 0;
    c->table = table;
    c->ntable += n;
    return c->ntable - n;
}

void compile_union(struct compile *c, uint32_t node, compile_branch *each, const struct avro_take *take, size_t base)
{
    const struct schema_node *n = &c->schema->nodes[node];
    uint32_t last_jump = 0; /* the jumps to the end form a list until it is known */
    bool ok;
    uint32_t first = compile_table(c, n->n, &ok);

    compile_emit(c, (struct op){.code = OP_BRANCH, .a = n->n, .b = first});
    for (uint32_t i = 0; i < n->n && !failed(c->error); i++) {
        c->table[first + i] = c->nops;
        each(c, c->schema->members[n->first + i].node, take, base);
        last_jump = compile_emit(c, (struct op){.code = OP_JUMP, .a = last_jump});
    }
    while (last_jump && !failed(c->error)) {
        uint32_t before = c->ops[last_jump].a;

        c->ops[last_jump].a = c->nops;
        last_jump = before;
    }
}

static void skip_branch(struct compile *c, uint32_t node, const struct avro_take *take, size_t base)
{
    (void)take;
    (void)base;
    compile_skip(c, node);
}

/* A record is skipped by steps of its own that are called, so neither recursion nor repeated use of a type can blow up the plan.
 */
static void call_skip(struct compile *c, uint32_t node)
{
    if (c->skip_at[node] == 0) {
        c->skip_at[node] = UINT32_MAX;
        c->wanted[c->nwanted++] = node;
    }
    compile_emit(c, (struct op){.code = OP_CALL, .a = node}); /* the address comes in compile_skipped_records */
}

static void skip_elements(struct compile *c, const struct schema_node *n)
{
    uint32_t loop = compile_emit(c, (struct op){.code = OP_LOOP});

    if (n->type == SCHEMA_MAP)
        compile_emit(c, (struct op){.code = OP_SKIP_BYTES});
    compile_skip(c, c->schema->members[n->first].node);
    compile_emit(c, (struct op){.code = OP_NEXT});
    if (!failed(c->error))
        c->ops[loop].after = c->nops;
}

/* Recurses only through arrays, maps and unions, which have no names and so are nested no deeper than the text, 64. */
void compile_skip(struct compile *c, uint32_t node)
{
    const struct schema_node *n = &c->schema->nodes[node];

    switch (n->type) {
    case SCHEMA_NULL:
        break;
    case SCHEMA_BOOLEAN:
        compile_emit(c, (struct op){.code = OP_SKIP_BOOL});
        break;
    case SCHEMA_INT:
    case SCHEMA_LONG:
        compile_emit(c, (struct op){.code = OP_SKIP_LONG});
        break;
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        compile_emit(c, (struct op){.code = OP_SKIP_RAW, .a = n->type == SCHEMA_FLOAT ? 4 : 8});
        break;
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        compile_emit(c, (struct op){.code = OP_SKIP_BYTES});
        break;
    case SCHEMA_FIXED:
        compile_emit(c, (struct op){.code = OP_SKIP_RAW, .a = n->size});
        break;
    case SCHEMA_ENUM:
        compile_emit(c, (struct op){.code = OP_SKIP_INDEX, .a = n->n});
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        skip_elements(c, n);
        break;
    case SCHEMA_UNION:
        compile_union(c, node, skip_branch, NULL, 0);
        break;
    case SCHEMA_RECORD:
        call_skip(c, node);
        break;
    }
}

void compile_skipped_records(struct compile *c)
{
    for (uint32_t i = 0; i < c->nwanted && !failed(c->error); i++) { /* the list grows meanwhile */
        const struct schema_node *n = &c->schema->nodes[c->wanted[i]];

        c->skip_at[c->wanted[i]] = c->nops;
        for (uint32_t f = 0; f < n->n; f++)
            compile_skip(c, c->schema->members[n->first + f].node);
        compile_emit(c, (struct op){.code = OP_RETURN});
    }
    for (uint32_t i = 0; i < c->nops && !failed(c->error); i++)
        if (c->ops[i].code == OP_CALL)
            c->ops[i].a = c->skip_at[c->ops[i].a];
}
