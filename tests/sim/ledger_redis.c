/* The ledger of cells: what lies in Redis, who was told so, and what Redis lost. */
#include <stdio.h>

#include "ledger.h"
#include "redis_server.h"
#include "schema_shelf.h"
#include "sim.h"
#include "stepmill/cells.h"
#include "stepmill/event_codec.h"
#include "stepmill/wire_format.h"
#include "world.h"

enum { STARTED_MAX = 1 << 20 };

/* The task behind "<prefix><kind><task_id>"; NULL: another key. */
static struct ledger_task *task_of_key(struct ledger *l, struct slice key, const char *kind)
{
    const char *at = memmem(key.at, key.len, kind, strlen(kind));

    if (!at)
        return NULL;
    at += strlen(kind);
    return ledger_task(l, (struct slice){at, (size_t)(key.at + key.len - at)});
}

static void keep_digest(struct ledger_task *t, struct slice cell)
{
    struct digest d;

    if (cell.len < DIGEST_SIZE)
        return;
    memcpy(d.bytes, cell.at, DIGEST_SIZE);
    if (ledger_was_stored(t, &d))
        return;
    if (t->nstored == t->stored_room) {
        t->stored_room = t->stored_room ? 2 * t->stored_room : 16;
        t->stored = memory_grow(world_memory(), t->stored, t->nstored, t->stored_room, sizeof *t->stored);
    }
    t->stored[t->nstored++] = d;
}

/* Notes the cells that lie there now. */
static void look(struct ledger_task *t, struct slice key, uint64_t call, const struct sim_process *by)
{
    struct reply fields = store_do(redis_server_store(world_redis()), sim_wall_ms(), (struct slice[]){SLICE("HGETALL"), key}, 2);
    int64_t seq;

    for (size_t i = 0; i + 1 < fields.count; i += 2) {
        if (!slice_to_int(fields.items[i].text, 0, LEDGER_CELLS - 1, &seq))
            continue;
        keep_digest(t, fields.items[i + 1].text);
        if (t->cells[seq].stored)
            continue;
        t->cells[seq].stored = call;
        t->cells[seq].stored_ms = sim_now_ms();
        t->cells[seq].stored_by = sim_is_alive(by) ? by : NULL;
    }
}

/* Its cells are gone, and it begins anew. */
static void forget(struct ledger_task *t)
{
    for (size_t i = 0; i < LEDGER_CELLS; i++)
        t->cells[i] = (struct ledger_cell){.stored = 0};
}

/* What was stored and is there no more may be paid for again, and so may all above it. */
static void forget_lost(struct ledger_task *t)
{
    struct store *store = redis_server_store(world_redis());
    char key[256], field[16];
    bool lost = false;

    snprintf(key, sizeof key, "checkpoint:%.*s", SLICE_FMT(t->fed.script.task_id));
    for (int seq = 0; seq < LEDGER_CELLS; seq++) {
        snprintf(field, sizeof field, "%d", seq);
        t->cells[seq].gone =
            (t->cells[seq].gone || t->cells[seq].stored) && !store_peek(store, sim_wall_ms(), slice_of(key), slice_of(field)).at;
        lost |= t->cells[seq].gone;
        if (lost)
            t->cells[seq].stored = 0;
    }
}

bool ledger_froze_as_once(const struct ledger_task *t, struct slice tool)
{
    struct arena *arena = arena_new(STARTED_MAX);
    struct history h;
    struct slice cell, avro;
    struct event event;
    char key[256];
    uint32_t id;
    bool once = false;

    snprintf(key, sizeof key, "checkpoint:%.*s", SLICE_FMT(t->fed.script.task_id));
    cell = store_peek(redis_server_store(world_redis()), sim_wall_ms(), slice_of(key), SLICE("0"));
    history_init(&h, arena);
    if (cell.len > DIGEST_SIZE &&
        !failed(wire_parse((struct slice){cell.at + DIGEST_SIZE, cell.len - DIGEST_SIZE}, &id, &avro)) &&
        !failed(event_read(schema_shelf_plan(world_shelf(), SCHEMA_EVENT, &event_reader), avro, arena, &event, NULL)) &&
        !failed(history_apply(&h, &event)))
        once = history_tool(&h, tool) && !history_tool(&h, tool)->repeatable;
    arena_free(arena);
    return once;
}

/* A claim that was granted belongs to the history that lies there: its parents are stored with the digests named. */
static void check_claim(const struct ledger_task *t, const struct redis_message *m)
{
    struct store *store = redis_server_store(world_redis());
    struct slice parents = m->args[m->nkeys + 1], seq = m->args[m->nkeys];

    if (store_peek(store, sim_wall_ms(), m->args[0], seq).at)
        sim_violation("claim", "a tool call of %.*s was granted for cell %.*s, which is there", SLICE_FMT(t->fed.script.task_id),
                      SLICE_FMT(seq));
    if (store_peek(store, sim_wall_ms(), m->args[1], (struct slice){NULL, 0}).at)
        sim_violation("claim", "a tool call of %.*s was granted although the task is done", SLICE_FMT(t->fed.script.task_id));

    for (size_t at = 0; at + 2 + DIGEST_SIZE <= parents.len; at += 2 + DIGEST_SIZE) {
        char field[16];
        struct slice cell;

        snprintf(field, sizeof field, "%d", (unsigned char)parents.at[at] << 8 | (unsigned char)parents.at[at + 1]);
        cell = store_peek(store, sim_wall_ms(), m->args[0], slice_of(field));
        if (cell.len < DIGEST_SIZE || memcmp(cell.at, parents.at + at + 2, DIGEST_SIZE) != 0)
            sim_violation("claim", "a tool call of %.*s was granted on cell %s, which is not stored like that",
                          SLICE_FMT(t->fed.script.task_id), field);
    }
}

void ledger_redis_acted(struct ledger *l, const struct redis_message *m)
{
    struct ledger_task *t = m->nkeys ? task_of_key(l, m->args[0], "checkpoint:") : NULL;
    bool fine = m->reply.kind == REPLY_ARRAY && m->reply.count && m->reply.items[0].integer == CELLS_OK;

    if (!t)
        return;
    if (m->op == CELLS_REDRIVE && fine && m->nargs == 2)
        forget(t);
    if (m->op == CELLS_CLAIM && fine)
        check_claim(t, m);
    if (m->op != CELLS_RECORD && m->op != CELLS_REDRIVE)
        return;
    look(t, m->args[0], m->call, m->port->process);
    if (t->fed.lost) /* what lay above the lost cells made way for another history */
        forget_lost(t);
}

void ledger_redis_answered(struct ledger *l, const struct redis_message *m)
{
    struct ledger_task *t = m->nkeys ? task_of_key(l, m->args[0], "checkpoint:") : NULL;

    if (!t || m->reply.kind == REPLY_ERROR)
        return;
    if (m->op == CELLS_LOAD || m->op == CELLS_RECORD || m->op == CELLS_REDRIVE)
        ledger_informed(t, m->port->process, m->task, m->call);
    t->loads += m->op == CELLS_LOAD;
}

void ledger_redis_lost(struct ledger *l, struct slice key)
{
    static const char *const kinds[] = {"checkpoint:", "done:", "claims:", "cancel:"};

    l->redis_losses++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct ledger_task *t = task_of_key(l, key, kinds[i]);

        if (!t)
            continue;
        t->fed.lost++;
        if (i < 2) /* a task that is done has no cells, and knows it by `done` */
            forget_lost(t);
    }
}
