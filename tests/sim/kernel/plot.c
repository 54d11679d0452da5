/* One history from its first moment to the verdict: workers begin, records come, faults happen, peace returns, the checker
 * judges.
 */
#include "check.h"
#include "cluster.h"
#include "feed.h"
#include "kernel.h"
#include "ledger.h"
#include "stepmill/error.h"
#include "world.h"

enum {
    TICK_MS = 1000,
    PEACE_STEP_MS = 5 * 1000,
    PEACE_STEPS = 120, /* 10 minutes: nothing but an agent's deadline takes longer, and nothing may come to need that */
    LAST_MS = 3000,    /* for `done` to be written */
    WAITING_MS = 150 * 1000,
};

static const char *const slots[] = {"a", "b", "c"};

struct plot {
    size_t nslots;
    bool peace;
};

/* Where everything goes in order nothing fails; where a task kills its workers nobody else does. */
static bool belongs(enum sim_fault kind)
{
    if (world_mood() == WORLD_DEADLY)
        return kind != SIM_FAULT_PROCESS && kind != SIM_FAULT_DEATH;
    if (world_mood() == WORLD_REDIS)
        return kind == SIM_FAULT_REDIS || kind == SIM_FAULT_REDIS_CALL;
    return !world_is_orderly() || kind == SIM_FAULT_PROCESS || kind == SIM_FAULT_GROUP || kind == SIM_FAULT_KAFKA_FETCH;
}

/* A history has few kinds of faults at a time, and some have none: what a rule is good for often shows only then. */
static void choose_faults(void)
{
    static const uint32_t often[SIM_FAULTS] = {
        [SIM_FAULT_HTTP] = 8,        [SIM_FAULT_HTTP_OUTAGE] = 80,    [SIM_FAULT_REDIS] = 60,     [SIM_FAULT_REDIS_CALL] = 15,
        [SIM_FAULT_REGISTRY] = 20,   [SIM_FAULT_PROCESS] = 6,         [SIM_FAULT_GROUP] = 10,     [SIM_FAULT_KAFKA_CALL] = 8,
        [SIM_FAULT_KAFKA_CUT] = 30,  [SIM_FAULT_KAFKA_SERVER] = 10,   [SIM_FAULT_KAFKA_MARK] = 4, [SIM_FAULT_KAFKA_FETCH] = 4,
        [SIM_FAULT_KAFKA_QUEUE] = 6, [SIM_FAULT_KAFKA_COMMITTED] = 3, [SIM_FAULT_DEATH] = 60,
    };

    if (sim_below(12) == 0)
        return;
    for (int kind = 0; kind < SIM_FAULTS; kind++)
        kernel_set_rate((enum sim_fault)kind, sim_below(2) || !belongs((enum sim_fault)kind) ? 0 : often[kind] << sim_below(3));
    if (world_mood() == WORLD_CHANGING) /* another worker, with other files, must come to the same tasks */
        kernel_set_rate(SIM_FAULT_DEATH, 20);
    if (world_mood() == WORLD_ZOMBIE) {
        kernel_set_rate(SIM_FAULT_PROCESS, 4);
        kernel_set_rate(SIM_FAULT_REDIS_CALL, 6);
    }
}

static struct sim_process *somebody(const struct plot *plot) { return process_of_slot(slots[sim_below(plot->nslots)]); }

static void harm(struct sim_process *p)
{
    if (!p || process_stopped_until(p) > sim_now_ms())
        return;
    switch (world_is_orderly() ? 0 : world_mood() == WORLD_ZOMBIE ? 1 + sim_below(2) : sim_below(4)) {
    case 0:
        if (!world_is_orderly() || !process_is_draining(p)) /* asked twice it stops at once */
            process_drain(p);
        return;
    case 1:
        process_stop(p, 100 + (int64_t)sim_below(9000)); /* less than the session lasts */
        return;
    case 2:
        process_stop(p, 9000 + (int64_t)sim_below(30000)); /* up to longer than a transaction may last */
        return;
    default:
        process_kill(p);
        return;
    }
}

/* Once a second: harm, and new workers for those that ended. */
static void tick(void *of)
{
    const struct plot *plot = of;

    if (sim_fault(SIM_FAULT_PROCESS))
        harm(somebody(plot));
    if (sim_fault(SIM_FAULT_GROUP))
        group_rebalance("somebody wants it");
    if (sim_fault(SIM_FAULT_KAFKA_SERVER))
        cluster_disturb();
    for (size_t i = 0; i < plot->nslots; i++)
        if (!process_of_slot(slots[i]) && (plot->peace || sim_below(4) == 0))
            (void)process_start(slots[i]);
    sim_later(TICK_MS, tick, of);
}

static bool all_fed(void)
{
    const struct ledger *l = world_ledger();

    for (size_t i = 0; i < l->nfed; i++)
        if (l->fed[i]->offset < 0)
            return false;
    return true;
}

static bool come_to_rest(struct plot *plot)
{
    sim_note("the faults are over");
    kernel_end_faults();
    world_heal();
    net_heal();
    plot->peace = true;
    for (int i = 0; i < PEACE_STEPS; i++) {
        if (!kernel_run_until(sim_now_ms() + PEACE_STEP_MS))
            return false;
        if (all_fed() && cluster_is_at_rest())
            return kernel_run_until(sim_now_ms() + LAST_MS);
    }
    cluster_tell_unrest();
    sim_violation("lag", "after %d s of peace some offsets are not committed, or a transaction is open",
                  PEACE_STEPS * PEACE_STEP_MS / 1000);
    return false;
}

void history_run(const struct history_options *options, struct history_outcome *outcome)
{
    static const int64_t lengths_ms[] = {8 * 1000, 20 * 1000, 45 * 1000};
    struct plot *plot;
    int64_t length;

    kernel_begin(options);
    heap_begin();
    strands_begin();
    processes_begin();
    world_begin();
    cluster_begin();
    plot = memory_take(world_memory(), sizeof *plot);
    plot->nslots = world_mood() == WORLD_SLOW ? 1 : 1 + (size_t)sim_below(3);
    length = world_mood() == WORLD_WAITING ? WAITING_MS : lengths_ms[sim_below(3)];
    choose_faults();
    for (size_t i = 0; i < plot->nslots; i++)
        (void)process_start(slots[i]);
    feed_begin(length / 2);
    sim_later(TICK_MS, tick, plot);
    if (kernel_run_until(sim_now_ms() + length) && come_to_rest(plot))
        check_history();
    *outcome = *kernel_outcome();
    outcome->workers = (int)plot->nslots;
    outcome->tasks = (int)world_ledger()->ntasks;
}
