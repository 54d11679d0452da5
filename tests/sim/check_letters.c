/* Checks every dead letter: of a record that its transaction finished, and the same record byte for byte. */
#include "check_private.h"
#include "world.h"

struct slice record_header_of(const struct sim_record *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (slice_is(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct slice){NULL, 0};
}

static struct verdict *origin_of(struct checker *c, const struct sim_record *r)
{
    struct slice topic = record_header_of(r, "__dlq.errors.topic");
    int64_t partition, offset;

    if (!slice_to_int(record_header_of(r, "__dlq.errors.partition"), 0, INT32_MAX, &partition) ||
        !slice_to_int(record_header_of(r, "__dlq.errors.offset"), 0, INT64_MAX, &offset))
        return NULL;
    for (size_t i = 0; i < c->nverdicts; i++)
        if (c->verdicts[i].fed->offset == offset && c->verdicts[i].fed->partition == partition &&
            slice_is(topic, c->verdicts[i].fed->topic))
            return &c->verdicts[i];
    return NULL;
}

static bool is_ours(struct slice name)
{
    return slice_starts_with(name, "stepmill.") || slice_starts_with(name, "__dlq.errors.");
}

static bool same_slice(struct slice a, struct slice b) { return !a.at == !b.at && slice_equal(a, b); }

/* Original headers first, in their order, without those that an earlier dead letter added. */
static bool same_headers(const struct fed *fed, const struct sim_record *r)
{
    size_t at = 0;

    for (size_t i = 0; i < fed->nheaders; i++) {
        if (is_ours(fed->headers[i].name))
            continue;
        if (at == r->nheaders || !slice_equal(r->headers[at].name, fed->headers[i].name) ||
            !same_slice(r->headers[at].value, fed->headers[i].value))
            return false;
        at++;
    }
    return at == r->nheaders || is_ours(r->headers[at].name);
}

static void check_letter(struct checker *c, const struct sim_record *r)
{
    struct verdict *v = origin_of(c, r);
    struct seen_letter *letter;

    if (!v) {
        sim_violation("dead-letter", "a dead letter names a record that was never fed");
        return;
    }
    if (v->letter)
        sim_violation("dead-letter", "%s has two dead letters", verdict_name(v));
    if (v->txn != r->txn)
        sim_violation("one-transaction", "the dead letter of %s left in transaction %llu, its offset was finished in %llu",
                      verdict_name(v), (unsigned long long)r->txn, (unsigned long long)v->txn);
    if (!same_slice(v->fed->key, r->key) || !same_slice(v->fed->value, r->value) || !same_headers(v->fed, r) ||
        v->fed->timestamp != r->timestamp)
        sim_violation("dead-letter", "the dead letter of %s differs from the record in key, value, headers or timestamp",
                      verdict_name(v));
    letter = arena_alloc(c->arena, sizeof *letter);
    *letter = (struct seen_letter){r, record_header_of(r, "stepmill.class"), record_header_of(r, "stepmill.code")};
    v->letter = letter;
}

void check_letters(struct checker *c)
{
    for (size_t i = 0; i < c->nrecords; i++)
        if (!strcmp(c->records[i].topic, WORLD_DLQ))
            check_letter(c, &c->records[i]);
}
