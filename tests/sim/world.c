/* One world, begun anew with each history. */
#include "world.h"

#include <stdio.h>

#include "feed.h"
#include "http_hosts.h"
#include "ledger.h"
#include "redis_server.h"
#include "schema_shelf.h"
#include "stepmill/cells.h"

enum { HOSTS = 8 };

#define MEMORY_MAX ((size_t)8 << 30) /* address space, not memory */

/* The functions that stand in for the product's have no argument that leads here, so there is one of these. */
static struct world {
    bool made;
    struct memory memory;
    struct lua_host *lua;
    struct schema_shelf *shelf;
    /* of the history */
    struct redis_server *redis;
    struct ledger *ledger;
    struct http_host hosts[HOSTS];
    int64_t registry_out_until;
    uint64_t last_number;
    bool healed;
    enum world_mood mood;
} it;

static bool rule_is_off(void *ctx, struct slice name)
{
    (void)ctx;
    return sim_rule_is_off(name);
}

void world_begin(void)
{
    static const enum world_mood moods[] = {
        WORLD_MIXED, WORLD_MIXED,   WORLD_MIXED, WORLD_DEAR,    WORLD_DEAR,    WORLD_DEAR,    WORLD_TWICE,
        WORLD_TWICE, WORLD_TWICE,   WORLD_TWICE, WORLD_FAILING, WORLD_FAILING, WORLD_FAILING, WORLD_ORDERLY,
        WORLD_SLOW,  WORLD_WAITING, WORLD_REDIS, WORLD_ZOMBIE,  WORLD_CROWDED, WORLD_DEADLY,  WORLD_CHANGING};

    if (!it.made) {
        memory_init(&it.memory, MEMORY_MAX);
        it.lua = lua_host_new();
        it.shelf = schema_shelf_new();
        it.made = true;
    }
    memory_reset(&it.memory);
    lua_host_begin(it.lua);
    it.ledger = memory_take(&it.memory, sizeof *it.ledger);
    it.redis = redis_server_new(&it.memory, it.lua);
    it.registry_out_until = 0;
    it.healed = false;
    it.mood = moods[sim_below(sizeof moods / sizeof *moods)];
    http_hosts_init();
    sim_note("mood %d", it.mood);
}

void world_heal(void)
{
    it.healed = true;
    it.registry_out_until = 0;
    for (size_t i = 0; i < it.ledger->ntasks; i++)
        it.ledger->tasks[i]->fed.script.failing = false; /* with nobody else served it would wait for ever, as it should */
    http_hosts_heal();
    redis_server_heal(it.redis);
}

enum world_mood world_mood(void) { return it.mood; }
bool world_is_orderly(void) { return it.mood == WORLD_ORDERLY || it.mood == WORLD_SLOW || it.mood == WORLD_WAITING; }
bool world_is_healed(void) { return it.healed; }
struct memory *world_memory(void) { return &it.memory; }
struct redis_server *world_redis(void) { return it.redis; }
struct ledger *world_ledger(void) { return it.ledger; }
struct http_host *world_hosts(void) { return it.hosts; }
struct schema_shelf *world_shelf(void) { return it.shelf; }
uint64_t world_next_number(void) { return ++it.last_number; }

int world_script(struct slice source) { return lua_host_script(it.lua, source, rule_is_off, NULL); }

bool world_registry_is_out(void)
{
    if (sim_fault(SIM_FAULT_REGISTRY)) {
        it.registry_out_until = sim_now_ms() + 1000 + (int64_t)sim_below(30 * 1000);
        sim_note("the registry is out for %lld ms", (long long)(it.registry_out_until - sim_now_ms()));
    }
    return it.registry_out_until > sim_now_ms();
}

void world_cancel(struct slice task_id)
{
    struct store *store = redis_server_store(it.redis);
    struct slice done, cancel;
    char key[256];

    snprintf(key, sizeof key, "done:%.*s", SLICE_FMT(task_id));
    done = store_peek(store, sim_wall_ms(), slice_of(key), (struct slice){NULL, 0});
    if (done.at)
        return;
    snprintf(key, sizeof key, "cancel:%.*s", SLICE_FMT(task_id));
    cancel = slice_of(key);
    store_begin(store);
    (void)store_do(store, sim_wall_ms(), (struct slice[]){SLICE("SET"), cancel, SLICE("1"), SLICE("PX"), SLICE("86400000")}, 5);
}
