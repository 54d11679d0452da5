/* Avro as JSON text: walks schema and bytes together with a stack of its own. */
#include "stepmill/avro_json.h"

#include <math.h>

#include "avro_read.h"
#include "schema_nodes.h"
#include "stepmill/json.h"

/* A record, array or map that is open. */
struct level {
    const struct schema_node *node;
    uint64_t left;         /* elements still to come in this block */
    uint32_t i;            /* field to come */
    bool more;             /* something was written inside: a comma comes first */
    const char *block_end; /* NULL: not said */
};

struct walk {
    const struct schema *schema;
    struct avro_input in;
    struct buf *to;
    uint64_t budget; /* of elements and records */
    size_t depth;
    struct level levels[AVRO_DEPTH_MAX];
};

enum { STEPS_PER_BYTE = 16, FREE_STEPS = 4096 };

static void put_hex(struct buf *to, struct slice s)
{
    char *at;

    buf_put_byte(to, '"');
    at = s.len > to->max ? NULL : buf_reserve(to, 2 * s.len + 1);
    if (at) {
        hex_encode(at, s.at, s.len);
        to->len += 2 * s.len;
    }
    buf_put_byte(to, '"');
}

static bool put_real(struct walk *w, size_t size)
{
    struct slice raw;
    double v;

    if (!avro_get_raw(&w->in, size, &raw))
        return false;
    if (size == sizeof(float)) {
        float single;

        memcpy(&single, raw.at, sizeof single); /* Avro and the machines we run on are little endian */
        v = (double)single;
    } else {
        memcpy(&v, raw.at, sizeof v);
    }
    if (isfinite(v))
        buf_printf(w->to, "%.*g", size == sizeof(float) ? 9 : 17, v);
    else
        buf_put_text(w->to, "null");
    return true;
}

static bool put_scalar(struct walk *w, const struct schema_node *n)
{
    struct slice s;
    uint32_t i;
    int64_t v;
    bool b;

    switch (n->type) {
    case SCHEMA_NULL:
        buf_put_text(w->to, "null");
        return true;
    case SCHEMA_BOOLEAN:
        return avro_get_bool(&w->in, &b) && (buf_put_text(w->to, b ? "true" : "false"), true);
    case SCHEMA_INT:
    case SCHEMA_LONG:
        return avro_get_long(&w->in, &v) && (buf_put_int(w->to, v), true);
    case SCHEMA_FLOAT:
        return put_real(w, sizeof(float));
    case SCHEMA_DOUBLE:
        return put_real(w, sizeof(double));
    case SCHEMA_STRING:
        return avro_get_bytes(&w->in, &s) && (json_put_string(w->to, s), true);
    case SCHEMA_BYTES:
        return avro_get_bytes(&w->in, &s) && ((utf8_valid(s) ? json_put_string : put_hex)(w->to, s), true);
    case SCHEMA_FIXED:
        return avro_get_raw(&w->in, n->size, &s) && (put_hex(w->to, s), true);
    case SCHEMA_ENUM:
        return avro_get_index(&w->in, n->n, &i) && (json_put_string(w->to, w->schema->members[n->first + i].name), true);
    default:
        bug("avro json: %s is no scalar", schema_type_name(n->type));
    }
}

static bool open_level(struct walk *w, const struct schema_node *n)
{
    if (w->depth == AVRO_DEPTH_MAX || w->budget == 0)
        return false;
    w->budget--;
    w->levels[w->depth++] = (struct level){.node = n};
    buf_put_byte(w->to, n->type == SCHEMA_ARRAY ? '[' : '{');
    return true;
}

static bool put_value(struct walk *w, uint32_t node)
{
    const struct schema_node *n = &w->schema->nodes[node];
    uint32_t i;

    if (n->type == SCHEMA_UNION) { /* its branches are no unions */
        if (!avro_get_index(&w->in, n->n, &i))
            return false;
        n = &w->schema->nodes[w->schema->members[n->first + i].node];
    }
    return n->type == SCHEMA_RECORD || n->type == SCHEMA_ARRAY || n->type == SCHEMA_MAP ? open_level(w, n) : put_scalar(w, n);
}

static bool close_level(struct walk *w, const struct level *l)
{
    buf_put_byte(w->to, l->node->type == SCHEMA_ARRAY ? ']' : '}');
    w->depth--;
    return true;
}

static void put_key(struct walk *w, struct level *l, const struct slice *key)
{
    if (l->more)
        buf_put_byte(w->to, ',');
    l->more = true;
    if (!key)
        return;
    json_put_string(w->to, *key);
    buf_put_byte(w->to, ':');
}

static bool next_field(struct walk *w, struct level *l)
{
    const struct schema_member *field = &w->schema->members[l->node->first + l->i];

    if (l->i == l->node->n)
        return close_level(w, l);
    l->i++;
    put_key(w, l, &field->name);
    return put_value(w, field->node);
}

static bool next_element(struct walk *w, struct level *l)
{
    struct slice key;

    while (l->left == 0) {
        if (l->block_end && l->block_end != w->in.at)
            return false;
        if (!avro_get_block(&w->in, &l->left, &l->block_end) || l->left > w->budget)
            return false;
        if (l->left == 0)
            return close_level(w, l);
        w->budget -= l->left;
    }
    l->left--;
    if (l->node->type == SCHEMA_MAP && !avro_get_bytes(&w->in, &key))
        return false;
    put_key(w, l, l->node->type == SCHEMA_MAP ? &key : NULL);
    return put_value(w, w->schema->members[l->node->first].node);
}

struct error avro_json_put(const struct schema *schema, struct slice bytes, struct buf *to)
{
    const char *start = bytes.at ? bytes.at : "";
    struct walk w;
    bool ok;

    w.schema = schema;
    w.in = (struct avro_input){start, start + bytes.len};
    w.to = to;
    w.budget = STEPS_PER_BYTE * (uint64_t)bytes.len + FREE_STEPS;
    w.depth = 0;
    ok = put_value(&w, schema->root);
    while (ok && w.depth > 0 && !to->failed) {
        struct level *l = &w.levels[w.depth - 1];

        ok = l->node->type == SCHEMA_RECORD ? next_field(&w, l) : next_element(&w, l);
    }
    if (to->no_memory)
        return error_make(CLASS_INTERNAL, "out_of_memory", "No memory to show the record.");
    if (to->failed)
        return error_make(CLASS_INTERNAL, "json_too_large", "The record is too large to be shown.");
    if (!ok || w.in.at != w.in.end)
        return error_make(CLASS_POISON, "does_not_decode", "The bytes do not follow the writer's schema.");
    return error_none();
}
