/* Sums of a batch, and how they get into the file. */
#include "tally.h"

enum { ROOM_FIRST = 256 };

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_of(const struct tally_entry *e)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    h = mix(h, &e->kind, sizeof e->kind);
    h = mix(h, &e->status, sizeof e->status);
    h = mix(h, &e->number, sizeof e->number);
    h = mix(h, e->name.at, e->name.len);
    h = mix(h, "", 1);
    h = mix(h, e->of.at, e->of.len);
    return h ^ h >> 32;
}

static bool same(const struct tally_entry *a, const struct tally_entry *b)
{
    return a->kind == b->kind && a->status == b->status && a->number == b->number && slice_equal(a->name, b->name) &&
           slice_equal(a->of, b->of);
}

static struct tally_entry **slot_of(struct tallies *t, const struct tally_entry *e)
{
    size_t i = hash_of(e) & (t->room - 1);

    while (t->slots[i] && !same(t->slots[i], e))
        i = (i + 1) & (t->room - 1);
    return &t->slots[i];
}

static bool grow(struct tallies *t, struct arena *arena)
{
    struct tallies larger = {.room = t->room ? 2 * t->room : ROOM_FIRST, .count = t->count};

    larger.slots = arena_alloc(arena, larger.room * sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < t->room; i++)
        if (t->slots[i])
            *slot_of(&larger, t->slots[i]) = t->slots[i];
    *t = larger;
    return true;
}

void tally_add(struct tallies *t, struct arena *arena, struct tally_entry entry)
{
    struct tally_entry **slot;

    if (2 * (t->count + 1) > t->room && !grow(t, arena))
        return;
    slot = slot_of(t, &entry);
    if (*slot) {
        (*slot)->n += entry.n;
        return;
    }
    *slot = arena_alloc(arena, sizeof **slot);
    if (*slot) {
        **slot = entry;
        t->count++;
    }
}

static void write_entry(const struct tally_entry *e, struct database *db)
{
    struct statement *st;

    if (e->kind == TALLY_CAME || e->kind == TALLY_FINISHED) {
        st = database_prepare(db,
                              "INSERT INTO minutes (minute, came, finished) VALUES (?1, ?2, ?3) ON CONFLICT (minute) DO UPDATE "
                              "SET came = came + excluded.came, finished = finished + excluded.finished");
        statement_int(st, 1, e->number);
        statement_int(st, 2, e->kind == TALLY_CAME ? e->n : 0);
        statement_int(st, 3, e->kind == TALLY_FINISHED ? e->n : 0);
    } else if (e->kind == TALLY_WORD) {
        st = database_prepare(db, "INSERT OR IGNORE INTO terms (term) VALUES (?1)");
        statement_text(st, 1, e->name);
    } else {
        st =
            database_prepare(db, "INSERT INTO tallies (kind, name, of, status, n) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, "
                                 "name, of, status) DO UPDATE SET n = n + excluded.n");
        statement_int(st, 1, e->kind);
        statement_text(st, 2, e->name.at ? e->name : SLICE(""));
        statement_text(st, 3, e->of.at ? e->of : SLICE(""));
        statement_int(st, 4, e->status);
        statement_int(st, 5, e->n);
    }
    statement_run(st);
}

void tally_flush(struct tallies *t, struct database *db)
{
    for (size_t i = 0; i < t->room; i++)
        if (t->slots[i] && t->slots[i]->n)
            write_entry(t->slots[i], db);
    *t = (struct tallies){0};
}
