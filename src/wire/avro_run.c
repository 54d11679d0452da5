/* Runs a plan over bytes: a small machine with a stack of loops and calls, bounded in depth and in work. */
#include <stdio.h>

#include "avro_ops.h"
#include "avro_read.h"
#include "stepmill/utf8.h"

/* A loop over elements, or a call. */
struct frame {
    uint32_t body, after;  /* of a loop: where an element begins; where it goes on when all are done, or a call returns */
    uint64_t left;         /* elements of this block still to come */
    const char *block_end; /* where the writer says that the block ends; NULL: it does not say */
    const struct op *take; /* OP_LOOP_TAKE, or NULL */
    char *base;            /* of the struct that holds the array */
    char *elements;
    size_t n, room;
};

struct run {
    const struct avro_plan *plan;
    struct avro_input in;
    struct arena *arena;
    char *base; /* of the struct being filled */
    uint32_t ip;
    size_t depth;
    uint64_t elements, calls; /* budgets: what costs no bytes must cost something */
    enum problem problem;     /* the first */
    uint16_t field;
    struct error error; /* no memory in the arena */
    const char *broken; /* what is wrong with the bytes, where more can be said than that they don't fit */
    struct frame stack[AVRO_DEPTH_MAX];
};

enum { FREE_ELEMENTS = 4096, CALLS_PER_BYTE = 16 };

static void note(struct run *r, const struct op *op, enum problem problem)
{
    if (r->problem)
        return;
    r->problem = problem;
    r->field = op->field;
}

static bool broken(struct run *r, const char *why)
{
    r->broken = why;
    return false;
}

static void put_int(struct run *r, const struct op *op, int64_t v)
{
    int32_t narrow = (int32_t)v;

    if (v < INT32_MIN || v > INT32_MAX)
        note(r, op, PROBLEM_RANGE);
    else
        memcpy(r->base + op->at, &narrow, sizeof narrow);
}

static void put_long(struct run *r, const struct op *op, int64_t v) { memcpy(r->base + op->at, &v, sizeof v); }

static void put_bool(struct run *r, const struct op *op, bool v) { memcpy(r->base + op->at, &v, sizeof v); }

static void put_slice(struct run *r, const struct op *op, struct slice s)
{
    if (!utf8_valid(s))
        note(r, op, PROBLEM_UTF8);
    else
        memcpy(r->base + op->at, &s, sizeof s);
}

static void put_scaled(struct run *r, const struct op *op, int64_t v)
{
    int64_t scaled;

    if (op->v < 0)
        put_long(r, op, v / -op->v - (v % -op->v < 0));
    else if (__builtin_mul_overflow(v, op->v, &scaled))
        note(r, op, PROBLEM_RANGE);
    else
        put_long(r, op, scaled);
}

static bool take_enum(struct run *r, const struct op *op)
{
    uint32_t i;

    if (!avro_get_index(&r->in, op->a, &i))
        return broken(r, "an enum has no such symbol");
    if (r->plan->table[op->b + i] == NO_SYMBOL)
        note(r, op, PROBLEM_SYMBOL);
    else
        put_int(r, op, r->plan->table[op->b + i]);
    return true;
}

static bool take_raw(struct run *r, const struct op *op)
{
    struct slice s;

    if (!avro_get_raw(&r->in, op->a, &s))
        return false;
    memcpy(r->base + op->at, s.at, s.len);
    return true;
}

static bool branch(struct run *r, const struct op *op)
{
    uint32_t i;

    if (!avro_get_index(&r->in, op->a, &i))
        return broken(r, "a union has no such branch");
    r->ip = r->plan->table[op->b + i];
    return true;
}

static struct frame *push(struct run *r)
{
    if (r->depth == AVRO_DEPTH_MAX) {
        broken(r, "nested deeper than 64");
        return NULL;
    }
    return &r->stack[r->depth++];
}

static bool call(struct run *r, const struct op *op)
{
    struct frame *f = push(r);

    if (!f)
        return false;
    if (r->calls-- == 0)
        return broken(r, "more records than its bytes can hold");
    f->after = r->ip;
    r->ip = op->a;
    return true;
}

/* Room for `count` more elements. Past the most that the reader wants, one spare element takes them all, so that the bytes are
 * still checked. */
static bool make_room(struct run *r, struct frame *f, uint64_t count)
{
    size_t size = f->take->b, most = (size_t)f->take->v, want = most + 1, room = 2 * f->room;
    char *elements;

    if (f->n > most || count > most - f->n)
        note(r, f->take, PROBLEM_TOO_MANY);
    else
        want = f->n + (size_t)count;
    if (want <= f->room)
        return true;
    if (room > most + 1)
        room = most + 1;
    if (room < want)
        room = want;
    elements = arena_alloc(r->arena, room * size);
    if (!elements) {
        r->error = arena_is_full(r->arena) ? error_make(CLASS_POISON, "too_large", "The record is too large to be read.")
                                           : error_make(CLASS_INTERNAL, "out_of_memory", "No memory to read a record.");
        return false;
    }
    if (f->n)
        memcpy(elements, f->elements, f->n * size);
    f->elements = elements;
    f->room = room;
    return true;
}

/* The loop on top of the stack is done: its array goes to the struct around it. */
static void leave(struct run *r, const struct frame *f)
{
    size_t n;

    r->ip = f->after;
    r->depth--;
    if (!f->take)
        return;
    n = f->n < (size_t)f->take->v ? f->n : (size_t)f->take->v;
    r->base = f->base;
    memcpy(r->base + f->take->at, &f->elements, sizeof f->elements);
    memcpy(r->base + f->take->a, &n, sizeof n);
}

/* The next element of the loop on top of the stack, in this block or another; or behind the loop. */
static bool next(struct run *r)
{
    struct frame *f = &r->stack[r->depth - 1];

    while (f->left == 0) {
        uint64_t count;

        if (f->block_end && f->block_end != r->in.at)
            return broken(r, "a block is not as long as it says");
        if (!avro_get_block(&r->in, &count, &f->block_end))
            return false;
        if (count == 0 && f->block_end && f->block_end != r->in.at)
            return broken(r, "a block is not as long as it says");
        if (count == 0) {
            leave(r, f);
            return true;
        }
        if (!f->take && f->block_end) { /* nothing in it is wanted */
            r->in.at = f->block_end;
            continue;
        }
        if (count > r->elements)
            return broken(r, "more elements than its bytes can hold");
        r->elements -= count;
        f->left = count;
        if (f->take && !make_room(r, f, count))
            return false;
    }
    f->left--;
    r->ip = f->body;
    if (f->take) {
        if (f->n < f->room)
            f->n++;
        r->base = f->elements + (f->n - 1) * f->take->b;
    }
    return true;
}

static bool loop(struct run *r, const struct op *op)
{
    struct frame *f = push(r);

    if (!f)
        return false;
    *f = (struct frame){.body = r->ip, .after = op->after, .take = op->code == OP_LOOP_TAKE ? op : NULL, .base = r->base};
    return next(r);
}

/* One step that reads a value. */
static inline bool value(struct run *r, const struct op *op)
{
    struct slice s;
    uint32_t i;
    int64_t v;
    bool b;

    switch ((enum op_code)op->code) {
    case OP_SKIP_LONG:
        return avro_get_long(&r->in, &v);
    case OP_SKIP_BOOL:
        return avro_get_bool(&r->in, &b);
    case OP_SKIP_INDEX:
        return avro_get_index(&r->in, op->a, &i);
    case OP_SKIP_RAW:
        return avro_get_raw(&r->in, op->a, &s);
    case OP_SKIP_BYTES:
        return avro_get_bytes(&r->in, &s);
    case OP_TAKE_STRING:
        return avro_get_bytes(&r->in, &s) && (put_slice(r, op, s), true);
    case OP_TAKE_INT:
        return avro_get_long(&r->in, &v) && (put_int(r, op, v), true);
    case OP_TAKE_LONG:
        return avro_get_long(&r->in, &v) && (put_long(r, op, v), true);
    case OP_TAKE_SCALED:
        return avro_get_long(&r->in, &v) && (put_scaled(r, op, v), true);
    case OP_TAKE_BOOL:
        return avro_get_bool(&r->in, &b) && (put_bool(r, op, b), true);
    case OP_TAKE_ENUM:
        return take_enum(r, op);
    case OP_TAKE_RAW:
        return take_raw(r, op);
    default:
        bug("avro op %d is unknown", op->code);
    }
}

static bool run(struct run *r)
{
    for (;;) {
        const struct op *op = &r->plan->ops[r->ip++];
        bool ok = true;

        switch ((enum op_code)op->code) {
        case OP_END:
            return r->in.at == r->in.end || broken(r, "bytes are left over");
        case OP_SET_INT:
            put_int(r, op, op->v);
            break;
        case OP_SET_LONG:
            put_long(r, op, op->v);
            break;
        case OP_SET_BOOL:
            put_bool(r, op, op->v != 0);
            break;
        case OP_SET_EMPTY:
            put_slice(r, op, SLICE(""));
            break;
        case OP_BRANCH:
            ok = branch(r, op);
            break;
        case OP_JUMP:
            r->ip = op->a;
            break;
        case OP_LOOP:
        case OP_LOOP_TAKE:
            ok = loop(r, op);
            break;
        case OP_NEXT:
            ok = next(r);
            break;
        case OP_CALL:
            ok = call(r, op);
            break;
        case OP_RETURN:
            r->ip = r->stack[--r->depth].after;
            break;
        case OP_PROBLEM:
            note(r, op, (enum problem)op->a);
            break;
        default:
            ok = value(r, op);
        }
        if (!ok)
            return false;
    }
}

static struct error problem_error(const struct run *r, struct detail *detail)
{
    static const struct {
        const char *code, *text;
    } problems[] = {
        [PROBLEM_MISSING] = {"missing_field", "A required field is not in the writer's schema."},
        [PROBLEM_NULL] = {"missing_field", "A required field is null."},
        [PROBLEM_TYPE] = {"wrong_type", "A field has another type than the reader needs."},
        [PROBLEM_UTF8] = {"bad_utf8", "A text is not UTF-8."},
        [PROBLEM_RANGE] = {"out_of_range", "A number does not fit its field."},
        [PROBLEM_SYMBOL] = {"unknown_symbol", "An enum has a symbol that the reader does not know."},
        [PROBLEM_BRANCH] = {"unknown_branch", "A union holds a record that the reader does not know."},
        [PROBLEM_TOO_MANY] = {"too_many_elements", "An array or map has more elements than the reader takes."},
    };
    const char *name = r->plan->fields[r->field]->name;

    if (detail)
        snprintf(detail->text, sizeof detail->text, "%s Field: %s.", problems[r->problem].text, name);
    return error_make(CLASS_POISON, problems[r->problem].code, problems[r->problem].text);
}

struct error avro_plan_decode(const struct avro_plan *plan, struct slice bytes, struct arena *arena, void *to,
                              struct detail *detail)
{
    const char *start = bytes.at ? bytes.at : "";
    struct run r; /* the stack of frames is not worth zeroing */

    r.plan = plan;
    r.in = (struct avro_input){start, start + bytes.len};
    r.arena = arena;
    r.base = to;
    r.ip = 0;
    r.depth = 0;
    r.elements = bytes.len + FREE_ELEMENTS;
    r.calls = CALLS_PER_BYTE * (uint64_t)bytes.len + FREE_ELEMENTS;
    r.problem = PROBLEM_NONE;
    r.error = error_none();
    r.broken = "it ends too early, or a length or number is impossible";
    memset(to, 0, plan->reader->size);
    if (detail)
        detail->text[0] = '\0';
    if (run(&r))
        return r.problem ? problem_error(&r, detail) : error_none();

    memset(to, 0, plan->reader->size);
    if (failed(r.error))
        return r.error;
    if (detail)
        snprintf(detail->text, sizeof detail->text, "At byte %zu: %s.", (size_t)(r.in.at - start), r.broken);
    return error_make(CLASS_POISON, "does_not_decode", "The bytes do not follow the writer's schema.");
}
