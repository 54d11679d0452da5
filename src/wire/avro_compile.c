/* Compiles a writer's schema against a reader's table to a plan: the half that takes. */
#include "avro_compile.h"

#include <stdio.h>
#include <stdlib.h>

static void compile_take(struct compile *c, uint32_t node, const struct avro_take *take, size_t base);

static void set(struct compile *c, enum op_code code, size_t at, int64_t v)
{
    if (v || code == OP_SET_EMPTY) /* memory is zeroed */
        compile_emit(c, (struct op){.code = (uint8_t)code, .at = (uint32_t)at, .v = v});
}

static void problem(struct compile *c, enum problem what) { compile_emit(c, (struct op){.code = OP_PROBLEM, .a = what}); }

/* From here on the ops are about this field of the reader. Returns the one before. */
static uint16_t begin_field(struct compile *c, const struct avro_take *take)
{
    uint16_t before = c->field;

    if (c->nfields == c->fields_room) {
        uint32_t room = c->fields_room ? 2 * c->fields_room : 32;
        const struct avro_take **fields = room > UINT16_MAX ? NULL : realloc(c->fields, room * sizeof *fields);

        if (!fields) {
            if (!failed(c->error))
                c->error = room > UINT16_MAX
                               ? error_make(CLASS_POISON, "hostile_schema", "The writer's schema makes too large a plan.")
                               : error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a plan.");
            return before;
        }
        c->fields = fields;
        c->fields_room = room;
    }
    c->fields[c->nfields] = take;
    c->field = (uint16_t)c->nfields++;
    return before;
}

/* The value for null. */
static void set_none(struct compile *c, const struct avro_take *take, size_t base)
{
    switch (take->kind) {
    case TAKE_INT:
    case TAKE_ENUM:
        set(c, OP_SET_INT, base + take->at, take->none);
        break;
    case TAKE_LONG:
    case TAKE_MILLIS:
    case TAKE_MICROS:
        set(c, OP_SET_LONG, base + take->at, take->none);
        break;
    case TAKE_BOOL:
        set(c, OP_SET_BOOL, base + take->at, take->none);
        break;
    case TAKE_ONE_OF:
        set(c, OP_SET_INT, base + take->count, take->none);
        break;
    case TAKE_STRING:
    case TAKE_FIXED:
    case TAKE_RECORD:
    case TAKE_ARRAY:
    case TAKE_MAP:
        break;
    }
}

/* The value for a field that the writer does not have. */
static void set_missing(struct compile *c, const struct avro_take *take, size_t base)
{
    uint16_t before = begin_field(c, take);

    if (!take->optional)
        problem(c, PROBLEM_MISSING);
    else if (take->kind == TAKE_RECORD)
        for (size_t i = 0; i < take->record->n; i++)
            set_none(c, &take->record->takes[i], base + take->at);
    else if (take->kind == TAKE_STRING && !take->nullable)
        set(c, OP_SET_EMPTY, base + take->at, 0);
    else
        set_none(c, take, base);
    c->field = before;
}

static bool has_field(const struct schema *s, const struct schema_node *record, const char *name)
{
    for (uint32_t i = 0; i < record->n; i++)
        if (slice_is(s->members[record->first + i].name, name))
            return true;
    return false;
}

/* The reader's field that this field of the writer feeds, or NULL. An alias counts only where the name itself is not there. */
static const struct avro_take *find_take(const struct compile *c, const struct schema_node *record, struct slice name,
                                         const struct avro_record *reader)
{
    for (size_t i = 0; i < reader->n; i++) {
        const struct avro_take *take = &reader->takes[i];

        if (slice_is(name, take->name))
            return take;
        if (take->alias && slice_is(name, take->alias) && !has_field(c->schema, record, take->name))
            return take;
    }
    return NULL;
}

static void compile_record(struct compile *c, const struct schema_node *record, const struct avro_record *reader, size_t base)
{
    uint64_t taken = 0;

    for (uint32_t i = 0; i < record->n && !failed(c->error); i++) {
        const struct schema_member *m = &c->schema->members[record->first + i];
        const struct avro_take *take = find_take(c, record, m->name, reader);
        uint16_t before = c->field;

        if (take) {
            taken |= UINT64_C(1) << (take - reader->takes);
            before = begin_field(c, take);
            compile_take(c, m->node, take, base);
        } else {
            compile_skip(c, m->node);
        }
        c->field = before;
    }
    for (size_t i = 0; i < reader->n && !failed(c->error); i++)
        if (!(taken >> i & 1))
            set_missing(c, &reader->takes[i], base);
}

static void take_elements(struct compile *c, const struct schema_node *n, const struct avro_take *take, size_t base)
{
    uint32_t items = c->schema->members[n->first].node, loop;
    const struct avro_record *element = take->record;

    loop = compile_emit(c, (struct op){.code = OP_LOOP_TAKE,
                                       .at = (uint32_t)(base + take->at),
                                       .a = (uint32_t)(base + take->count),
                                       .b = (uint32_t)element->size,
                                       .v = (int64_t)take->max});
    if (take->kind == TAKE_MAP) {
        compile_emit(c, (struct op){.code = OP_TAKE_STRING, .at = (uint32_t)element->takes[0].at});
        compile_take(c, items, &element->takes[1], 0);
    } else {
        compile_take(c, items, &(struct avro_take){.kind = TAKE_RECORD, .record = element}, 0);
    }
    compile_emit(c, (struct op){.code = OP_NEXT});
    if (!failed(c->error))
        c->ops[loop].after = c->nops;
}

static void take_enum(struct compile *c, const struct schema_node *n, const struct avro_take *take, size_t base)
{
    bool ok;
    uint32_t first = compile_table(c, n->n, &ok);

    compile_emit(c, (struct op){.code = OP_TAKE_ENUM, .at = (uint32_t)(base + take->at), .a = n->n, .b = first});
    for (uint32_t i = 0; i < n->n && ok; i++) {
        uint32_t s = 0;

        while (take->symbols[s] && !slice_is(c->schema->members[n->first + i].name, take->symbols[s]))
            s++;
        c->table[first + i] = take->symbols[s] ? s : take->optional ? (uint32_t)take->none : NO_SYMBOL;
    }
}

static void take_time(struct compile *c, const struct schema_node *n, const struct avro_take *take, size_t base)
{
    static const int64_t per_second[] = {0, 1000, 1000000, 1000000000};
    int64_t ours = take->kind == TAKE_MILLIS ? 1000 : 1000000;
    int64_t theirs = n->unit == UNIT_NONE ? ours : per_second[n->unit];
    struct op op = {.code = OP_TAKE_LONG, .at = (uint32_t)(base + take->at)};

    if (ours != theirs) {
        op.code = OP_TAKE_SCALED;
        op.v = ours > theirs ? ours / theirs : -(theirs / ours);
    }
    compile_emit(c, op);
}

/* A record of the writer as one branch of the reader's. */
static void take_one_of(struct compile *c, uint32_t node, const struct avro_take *take, size_t base)
{
    const struct schema_node *n = &c->schema->nodes[node];
    size_t i = 0;

    while (take->branches[i] && !slice_is(schema_short_name(n->name), take->branches[i]->name))
        i++;
    if (take->branches[i]) {
        set(c, OP_SET_INT, base + take->count, (int64_t)i);
        compile_record(c, n, take->branches[i], base + take->at);
    } else {
        problem(c, PROBLEM_BRANCH);
        compile_skip(c, node);
    }
}

/* Which types of the writer feed which kind of the reader. */
static bool type_fits(const struct schema_node *n, const struct avro_take *take)
{
    switch (take->kind) {
    case TAKE_STRING:
        return n->type == SCHEMA_STRING || n->type == SCHEMA_BYTES;
    case TAKE_INT:
    case TAKE_LONG:
    case TAKE_MILLIS:
    case TAKE_MICROS:
        return n->type == SCHEMA_INT || n->type == SCHEMA_LONG;
    case TAKE_BOOL:
        return n->type == SCHEMA_BOOLEAN;
    case TAKE_ENUM:
        return n->type == SCHEMA_ENUM;
    case TAKE_FIXED:
        return n->type == SCHEMA_FIXED && n->size == take->max;
    case TAKE_RECORD:
    case TAKE_ONE_OF:
        return n->type == SCHEMA_RECORD;
    case TAKE_ARRAY:
        return n->type == SCHEMA_ARRAY;
    case TAKE_MAP:
        return n->type == SCHEMA_MAP;
    }
    return false;
}

static void take_fitting(struct compile *c, uint32_t node, const struct avro_take *take, size_t base)
{
    static const uint8_t codes[] = {[TAKE_STRING] = OP_TAKE_STRING,
                                    [TAKE_INT] = OP_TAKE_INT,
                                    [TAKE_LONG] = OP_TAKE_LONG,
                                    [TAKE_BOOL] = OP_TAKE_BOOL,
                                    [TAKE_FIXED] = OP_TAKE_RAW};
    const struct schema_node *n = &c->schema->nodes[node];

    switch (take->kind) {
    case TAKE_STRING:
    case TAKE_INT:
    case TAKE_LONG:
    case TAKE_BOOL:
    case TAKE_FIXED:
        compile_emit(c, (struct op){.code = codes[take->kind], .at = (uint32_t)(base + take->at), .a = n->size});
        break;
    case TAKE_MILLIS:
    case TAKE_MICROS:
        take_time(c, n, take, base);
        break;
    case TAKE_ENUM:
        take_enum(c, n, take, base);
        break;
    case TAKE_RECORD:
        compile_record(c, n, take->record, base + take->at);
        break;
    case TAKE_ONE_OF:
        take_one_of(c, node, take, base);
        break;
    case TAKE_ARRAY:
    case TAKE_MAP:
        take_elements(c, n, take, base);
        break;
    }
}

/* Recurses as deep as the reader's tables are nested, times two for unions. */
static void compile_take(struct compile *c, uint32_t node, const struct avro_take *take, size_t base)
{
    const struct schema_node *n = &c->schema->nodes[node];

    if (failed(c->error))
        return;
    if (n->type == SCHEMA_UNION) {
        compile_union(c, node, compile_take, take, base);
    } else if (n->type == SCHEMA_NULL) {
        if (take->nullable)
            set_none(c, take, base);
        else
            problem(c, PROBLEM_NULL);
    } else if (type_fits(n, take)) {
        take_fitting(c, node, take, base);
    } else {
        problem(c, PROBLEM_TYPE);
        compile_skip(c, node);
    }
}

static struct avro_plan *finish(struct compile *c, const struct avro_record *reader)
{
    struct avro_plan *plan = failed(c->error) ? NULL : calloc(1, sizeof *plan);

    if (!plan) {
        free(c->ops);
        free(c->table);
        free(c->fields);
        if (!failed(c->error))
            c->error = error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a plan.");
        return NULL;
    }
    *plan = (struct avro_plan){reader, c->ops, c->table, c->fields, c->nops, c->ntable, c->nfields};
    return plan;
}

struct error avro_plan_new(const struct schema *schema, const struct avro_record *reader, struct avro_plan **plan,
                           struct detail *detail)
{
    static const struct avro_take whole = {.name = "the whole record"};
    struct avro_take root = {.kind = TAKE_RECORD, .record = reader};
    struct compile c = {.schema = schema};

    if (reader->n > 64)
        bug("reader %s has more than 64 fields", reader->name);
    *plan = NULL;
    c.skip_at = calloc(schema->nnodes, sizeof *c.skip_at);
    c.wanted = calloc(schema->nnodes, sizeof *c.wanted);
    if (!c.skip_at || !c.wanted)
        c.error = error_make(CLASS_INTERNAL, "out_of_memory", "No memory for a plan.");
    begin_field(&c, &whole);
    compile_take(&c, schema->root, &root, 0);
    compile_emit(&c, (struct op){.code = OP_END});
    compile_skipped_records(&c);
    free(c.skip_at);
    free(c.wanted);
    *plan = finish(&c, reader);
    if (detail)
        snprintf(detail->text, sizeof detail->text, "%s", failed(c.error) ? c.error.text : "");
    return c.error;
}

void avro_plan_free(struct avro_plan *plan)
{
    if (!plan)
        return;
    free(plan->ops);
    free(plan->table);
    free(plan->fields);
    free(plan);
}

const struct avro_record *avro_plan_reader(const struct avro_plan *plan) { return plan->reader; }

size_t avro_plan_size(const struct avro_plan *plan)
{
    return sizeof *plan + plan->nops * sizeof *plan->ops + plan->ntable * sizeof *plan->table +
           plan->nfields * sizeof(const struct avro_take *);
}
