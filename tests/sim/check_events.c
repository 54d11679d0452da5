/* Checks that no event was committed which was not a cell first (DELIVERY §2: what is emitted was loaded, stored or adopted). */
#include "check_private.h"
#include "world.h"

static bool was_cell(const struct ledger_task *t, struct slice hex)
{
    char text[2 * DIGEST_SIZE + 1];

    for (size_t i = 0; i < t->nstored; i++) {
        digest_text(text, &t->stored[i]);
        if (slice_is(hex, text))
            return true;
    }
    return false;
}

void check_events(struct checker *c)
{
    for (size_t i = 0; i < c->nrecords; i++) {
        struct slice id = record_header_of(&c->records[i], "ce_id"), task_id = id, hex = id;

        if (strcmp(c->records[i].topic, WORLD_EVENTS) != 0)
            continue;
        while (hex.len && memchr(hex.at, '/', hex.len)) /* "<task_id>/<seq>/<digest>" */
            hex.at++, hex.len--;
        task_id.len = id.len ? (size_t)((const char *)memchr(id.at, '/', id.len) - id.at) : 0;
        if (!ledger_task(c->ledger, task_id) || !was_cell(ledger_task(c->ledger, task_id), hex))
            sim_violation("stored-first", "the event %.*s left although no such cell was ever stored in Redis", SLICE_FMT(id));
    }
}
