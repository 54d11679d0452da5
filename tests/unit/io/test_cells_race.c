/* cells: two runners race through one task on a real Redis that loses cells, and what is stored is never a mixture of two
 * histories.
 *
 * The same search as the model checkers of the design, by chance instead of exhaustively, but with the real scripts. A runner
 * does what a worker does: folds what it holds, makes the next cell, records it, adopts what it is handed, offers its whole
 * history once after STALE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper_redis_cells.h"
#include "stepmill/random.h"

enum { SEQS = 32, TOOLS = 3, STEPS = 3000, MADE_MAX = 40000, ROUNDS_MAX = 4 };

/* Every cell ever made, to know the parents of one that is found. */
struct made {
    struct cell cell;
    char text[SEEN_TEXT_MAX];
    int32_t first, count; /* its parents' seqs */
    struct digest parents[TOOLS + 1];
};

struct runner {
    const struct made *cell[SEQS]; /* what it holds, by seq */
};

struct race {
    struct cells_world *w;
    struct made *made;
    size_t nmade;
    uint64_t random;
    struct runner runner[2];
    size_t oks, stales, gones, orphans, adopted, losses, ended;
    int64_t tokens; /* that the counter must show if nothing was ever lost */
};

/* A group's seqs, present or not. Cells are told apart by their first letter: S started, 0…3 a model's answer with so many tools,
 * t a tool, E the end. */
struct group {
    int32_t first, last;
};

static int32_t tools_of(const struct made *m) { return m->text[0] >= '0' && m->text[0] <= '9' ? m->text[0] - '0' : 0; }

static struct group next_group(const struct runner *r, struct group g)
{
    struct group next = {g.last + 1, g.last + 1};

    if (next.first < SEQS && r->cell[next.first])
        next.last = next.first + tools_of(r->cell[next.first]);
    return next;
}

static bool is_full(const struct runner *r, struct group g)
{
    for (int32_t i = g.first; i <= g.last; i++)
        if (!r->cell[i])
            return false;
    return true;
}

/* The newest group that has a cell, all below it being full; {0, 0} when nothing is held. */
static struct group current(const struct runner *r)
{
    struct group g = {0, 0};

    while (is_full(r, g)) {
        struct group next = next_group(r, g);

        if (!r->cell[next.first])
            break;
        g = next;
    }
    return g;
}

static const struct made *make(struct race *race, const struct runner *r, int32_t seq, int32_t first, int32_t count, char kind)
{
    struct made *m = &race->made[race->nmade++];
    struct cell parents[TOOLS + 1];

    assert_true(race->nmade < MADE_MAX);
    *m = (struct made){.first = first, .count = count};
    for (int32_t i = 0; i < count; i++) {
        parents[i] = r->cell[first + i]->cell;
        m->parents[i] = parents[i].digest;
    }
    snprintf(m->text, sizeof m->text, "%c %d #%zu", kind, (int)(r - race->runner), race->nmade);
    m->cell = cell_make(seq, parents, (size_t)count, m->text);
    return m;
}

static const struct made *find(const struct race *race, const struct digest *digest)
{
    for (size_t i = race->nmade; i-- > 0;)
        if (digest_equal(&race->made[i].cell.digest, digest))
            return &race->made[i];
    fail_msg("Redis holds a cell that nobody made");
    return NULL;
}

/* The rule: where a parent of a stored cell is stored, it is the one that the cell's digest was made from. */
static void assert_not_mixed(const struct race *race, const struct seen *s)
{
    const struct made *stored[SEQS] = {0};

    for (size_t i = 0; i < s->ncells; i++)
        stored[s->cells[i].seq] = find(race, &s->cells[i].digest);
    for (int32_t seq = 0; seq < SEQS; seq++)
        for (int32_t i = 0; stored[seq] && i < stored[seq]->count; i++) {
            const struct made *parent = stored[stored[seq]->first + i];

            if (parent && !digest_equal(&parent->cell.digest, &stored[seq]->parents[i]))
                fail_msg("mixed: %s lies on %s", stored[seq]->text, parent->text);
            if (!parent && !race->losses)
                fail_msg("a hole below %s, and nothing was lost", stored[seq]->text);
        }
}

static const struct seen *load(struct race *race)
{
    cells_load(race->w->cells, cells_world_next(race->w), &(struct cells_load){SLICE("t"), SLICE("s"), 0});
    return cells_world_wait(race->w);
}

/* What is stored is the history; above a hole there is nothing one could stand on. */
static void take_over(struct race *race, struct runner *r, const struct seen *s)
{
    struct runner all = {0};
    struct group g = {0, 0};

    *r = (struct runner){0};
    for (size_t i = 0; i < s->ncells; i++)
        all.cell[s->cells[i].seq] = find(race, &s->cells[i].digest);
    for (;; g = next_group(&all, g)) {
        if (!all.cell[g.first])
            return;
        for (int32_t i = g.first; i <= g.last; i++)
            r->cell[i] = all.cell[i];
        if (!is_full(&all, g))
            return;
    }
}

static int32_t above_of(const struct runner *r, int32_t seq)
{
    struct group g = {0, 0};

    while (seq > g.last)
        g = next_group(r, g);
    return seq == g.first ? seq + 1 : g.last + 1;
}

/* Cells `from` and up that the runner holds, as one call. */
static const struct seen *record(struct race *race, struct runner *r, int32_t from, int32_t group_first, uint64_t held)
{
    struct cells_write writes[SEQS] = {0};
    struct cell parents[SEQS][TOOLS + 1];
    struct cells_record call = {.task_id = SLICE("t"),
                                .session_id = SLICE("s"),
                                .agent = SLICE("a"),
                                .cells = writes,
                                .group_first = group_first,
                                .held = held,
                                .messages_seq = -1};

    for (int32_t seq = from; seq < SEQS; seq++) {
        const struct made *m = r->cell[seq];

        if (!m || (seq >= group_first && seq - group_first < 64 && held >> (seq - group_first) & 1))
            continue;
        for (int32_t i = 0; i < m->count; i++)
            parents[call.ncells][i] = (struct cell){.seq = m->first + i, .digest = m->parents[i]};
        writes[call.ncells] = (struct cells_write){.cell = m->cell,
                                                   .parents = parents[call.ncells],
                                                   .nparents = (size_t)m->count,
                                                   .above = above_of(r, seq),
                                                   .tokens = 1,
                                                   .day = 20261121};
        call.ncells++;
    }
    cells_record(race->w->cells, cells_world_next(race->w), &call);
    cells_world_wait(race->w);
    assert_null(race->w->seen.code);
    race->oks += race->w->seen.status == CELLS_OK;
    race->stales += race->w->seen.status == CELLS_STALE;
    race->gones += race->w->seen.status == CELLS_GONE;
    race->orphans += (size_t)race->w->seen.orphans;
    race->tokens += race->w->seen.written;
    return &race->w->seen;
}

/* Where another's cell lies, ours is forgotten with all that stood on it. */
static void adopt(struct race *race, struct runner *r, const struct seen *s)
{
    race->adopted += s->ncells;
    for (size_t i = 0; i < s->ncells; i++) {
        const struct made *theirs = find(race, &s->cells[i].digest);
        int32_t seq = s->cells[i].seq;

        if (r->cell[seq] && !digest_equal(&r->cell[seq]->cell.digest, &theirs->cell.digest))
            for (int32_t k = above_of(r, seq); k < SEQS; k++)
                r->cell[k] = NULL;
        r->cell[seq] = theirs;
    }
}

static void learn(struct race *race, struct runner *r, const struct seen *s)
{
    if (s->status == CELLS_STALE) {
        s = record(race, r, 0, 0, 0);
        if (s->status == CELLS_STALE) {
            take_over(race, r, s);
            return;
        }
    }
    if (s->status == CELLS_GONE)
        *r = (struct runner){0};
    else
        adopt(race, r, s);
}

/* The end, a model's answer, or one or more tools of the group. */
static int32_t make_next(struct race *race, struct runner *r, struct group g)
{
    if (is_full(r, g)) {
        int32_t seq = g.last + 1, count = g.last - g.first + 1;
        bool last = seq > SEQS - TOOLS - 3 || (g.first >= ROUNDS_MAX && random_below(&race->random, 3) == 0);

        r->cell[seq] = make(race, r, seq, g.first, count, last ? 'E' : (char)('0' + random_below(&race->random, TOOLS + 1)));
        return seq;
    }
    int32_t lowest = -1;
    for (int32_t seq = g.last; seq > g.first; seq--)
        if (!r->cell[seq] && (lowest < 0 || random_below(&race->random, 2))) {
            r->cell[seq] = make(race, r, seq, g.first, 1, 't');
            lowest = seq;
        }
    return lowest;
}

static uint64_t held_of(const struct runner *r, int32_t group_first)
{
    uint64_t held = 0;

    for (int32_t seq = group_first; seq < SEQS; seq++)
        if (r->cell[seq])
            held |= UINT64_C(1) << (seq - group_first);
    return held;
}

static void finish(struct race *race, struct runner *r, const struct made *end)
{
    struct cells_settle settle = {.task_id = SLICE("t"), .done = {.origin = {SLICE("x"), 0, 1}}, .last = end->cell.digest};

    race->ended++;
    cells_settle(race->w->cells, cells_world_next(race->w), &settle);
    assert_int_equal(cells_world_wait(race->w)->status, CELLS_OK);
    if (random_below(&race->random, 2))
        return;
    redis_server_ask(&race->w->server, "DEL p:done:t"); /* as after 24 hours: a new life, and a zombie may still come */
    *r = (struct runner){0};
}

static void step(struct race *race, struct runner *r)
{
    struct group g = current(r);
    int32_t from, group_first = r->cell[0] ? g.first : 0;
    uint64_t held = held_of(r, group_first);

    if (r->cell[g.first] && r->cell[g.first]->text[0] == 'E') {
        finish(race, r, r->cell[g.first]);
        return;
    }
    if (!r->cell[0]) {
        r->cell[0] = make(race, r, 0, 0, 0, 'S');
        g = (struct group){0, 0};
        make_next(race, r, g); /* TaskStarted goes with the first answer */
        from = 0;
    } else {
        from = make_next(race, r, g);
    }
    const struct seen *s = record(race, r, from, group_first, held);
    if (random_below(&race->random, 8) == 0)
        s = record(race, r, from, group_first, held); /* the answer was lost: the same call again */
    learn(race, r, s);
}

static void lose(struct race *race)
{
    char command[64];
    unsigned seq = (unsigned)random_below(&race->random, 12);

    race->losses++;
    if (random_below(&race->random, 6) == 0)
        snprintf(command, sizeof command, "DEL p:checkpoint:t");
    else
        snprintf(command, sizeof command, "HDEL p:checkpoint:t %u", seq);
    redis_server_ask(&race->w->server, command);
}

static void run(unsigned seed, bool losses)
{
    struct race race = {.w = cells_world_begin(), .random = seed, .made = calloc(MADE_MAX, sizeof *race.made)};

    for (int i = 0; i < STEPS; i++) {
        struct runner *r = &race.runner[random_below(&race.random, 2)];
        uint64_t chance = random_below(&race.random, 20);

        if (losses && chance == 0)
            lose(&race);
        else if (chance == 1)
            take_over(&race, r, load(&race)); /* a rebalance, or a restart */
        else
            step(&race, r);
        assert_not_mixed(&race, load(&race));
        if (race.w->seen.done_found && random_below(&race.random, 10) == 0)
            redis_server_ask(&race.w->server, "DEL p:done:t");
    }
    printf("         seed %u: %zu ok, %zu stale, %zu gone, %zu adopted, %zu orphans, %zu losses, %zu ended\n", seed, race.oks,
           race.stales, race.gones, race.adopted, race.orphans, race.losses, race.ended);
    assert_true(race.oks > 100 && race.stales > 10 && race.adopted > 10 && race.ended > 10);
    assert_int_equal(cells_world_number(race.w, "INCRBY p:tokens:session:s 0"), race.tokens);
    if (!losses)
        assert_int_equal(race.orphans, 0);
    free(race.made);
    cells_world_end(race.w);
}

static void a_race_without_loss(void **state)
{
    (void)state;
    run(1, false);
}

static void a_race_with_losses(void **state)
{
    (void)state;
    run(2, true);
    run(3, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_race_without_loss), cmocka_unit_test(a_race_with_losses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
