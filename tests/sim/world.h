/* The world outside the workers of one history, Kafka and time excepted (sim.h): Redis, models, tools, the registry, the records
 * that are fed, and the ledger of what really happened. One world at a time; it begins anew with each history. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "memory.h"
#include "sim.h"

#define WORLD_AGENT   "sim"
#define WORLD_GROUP   "agent-sim"
#define WORLD_TASKS   "agent.tasks.sim"
#define WORLD_RESULTS "agent.results"
#define WORLD_EVENTS  "agent.events"
#define WORLD_DLQ     "agent.dlq"

struct config;
struct http_host;
struct ledger;
struct redis_server;
struct schema_shelf;

/* Before a history; what the last one left is void. */
void world_begin(void);
/* The faults are over: outages end now, none begins. */
void world_heal(void);

bool world_is_healed(void);

/* What a history is mostly about: some rules are needed in rare company only. */
enum world_mood {
    WORLD_MIXED,
    WORLD_DEAR,     /* tools that must not be repeated */
    WORLD_TWICE,    /* each task in several records */
    WORLD_FAILING,  /* dead letters and redrives */
    WORLD_ORDERLY,  /* workers come and go in order, nothing fails, each task once: no call is wasted */
    WORLD_SLOW,     /* the same with one worker and slow servers: a drain waits */
    WORLD_WAITING,  /* workers come and go in order while no model answers */
    WORLD_REDIS,    /* nothing fails but Redis, and often; each task in several records */
    WORLD_ZOMBIE,   /* workers that are stopped for long while they call tools, and slow answers of Redis */
    WORLD_CROWDED,  /* many offsets finished behind one that is not */
    WORLD_DEADLY,   /* tasks that kill whoever runs them, and no other deaths */
    WORLD_CHANGING, /* workers with other tool files and limits than those that began the task */
    WORLD_MOODS
};
enum world_mood world_mood(void);
/* Nothing fails but what the mood says. */
bool world_is_orderly(void);

struct memory *world_memory(void);
struct redis_server *world_redis(void);
struct ledger *world_ledger(void);
struct http_host *world_hosts(void);
struct schema_shelf *world_shelf(void);
bool world_registry_is_out(void);
/* A script of the product, compiled with the rules that are on. */
int world_script(struct slice source);
uint64_t world_next_number(void);
/* world_config.c: what each worker runs with; worker.slot is the caller's to set, since no two live ones may share it. */
struct config world_config(void);
/* As `stepmill cancel` asks for it. */
void world_cancel(struct slice task_id);

#endif
