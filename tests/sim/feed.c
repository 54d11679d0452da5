/* What a history is fed: tasks of all kinds, their duplicates, poison, and dead letters sent again. */
#include "feed.h"

#include <stdio.h>

#include "ledger.h"
#include "schema_shelf.h"
#include "stepmill/task_codec.h"
#include "world.h"

enum { VALUE_MAX = 64 * 1024, SESSIONS = 3, REDRIVES_MOST = 2, LOOK_EVERY_MS = 2000 };

const char *feed_kind_name(enum feed_kind kind)
{
    static const char *const names[] = {"task", "redrive", "poison", "refused"};

    return names[kind];
}

static struct slice print(const char *format, unsigned long long n)
{
    char text[64];

    snprintf(text, sizeof text, format, n);
    return memory_copy(world_memory(), slice_of(text));
}

static bool one_in(uint64_t n) { return sim_below(n) == 0; }

/* The record goes into its topic now. */
static void append(void *record)
{
    struct fed *f = record;

    f->timestamp = sim_wall_ms() - (int64_t)sim_below(1000);
    sim_kafka_append(f->topic, f->key, f->value, f->headers, f->nheaders, f->timestamp, &f->partition, &f->offset);
    sim_note("fed %s %.*s at %s/%d@%lld, key %.*s", feed_kind_name(f->kind), f->task ? (int)f->task->script.task_id.len : 1,
             f->task ? f->task->script.task_id.at : "-", f->topic, f->partition, (long long)f->offset,
             f->key.at ? (int)f->key.len : 1, f->key.at ? f->key.at : "-");
}

static void feed_after(int64_t delay_ms, const struct fed *f)
{
    struct fed *kept;

    if (!sim_optional())
        return;
    kept = ledger_add_fed(world_ledger(), f);

    kept->offset = -1;
    sim_later(delay_ms, append, kept);
}

/* Headers that a dead letter must carry on, two of one name among them. */
static void add_headers(struct fed *f)
{
    f->headers = memory_take(world_memory(), 4 * sizeof *f->headers);
    f->headers[f->nheaders++] = (struct kafka_header){SLICE("origin"), SLICE("test\x01\xff")};
    if (one_in(2))
        f->headers[f->nheaders++] = (struct kafka_header){SLICE("origin"), {NULL, 0}};
    if (one_in(2))
        f->headers[f->nheaders++] = (struct kafka_header){SLICE("trace-id"), SLICE("abc")};
}

static struct slice encode(const struct task_input *input, uint32_t schema)
{
    struct buf b = BUF(VALUE_MAX);
    struct slice copy;

    task_put(&b, schema, input);
    if (b.failed)
        bug("a task is too large to be fed");
    copy = memory_copy(world_memory(), buf_slice(&b));
    buf_free(&b);
    return copy;
}

/* Everything that the first record of a task and its duplicates have in common. */
struct plan {
    struct fed_task *task;
    struct task_input input;
    struct slice key;
    uint32_t schema;
};

static void feed_task(const struct plan *p, int64_t delay_ms, int32_t number, struct slice key)
{
    struct task_input input = p->input;
    struct fed f = {.kind = FEED_TASK, .task = p->task, .input = number, .topic = WORLD_TASKS, .key = key};

    if (number)
        input.prompt = print("something else, %llu", (unsigned long long)number);
    f.value = encode(&input, p->schema);
    add_headers(&f);
    feed_after(delay_ms, &f);
}

static void make_plan(struct plan *p, uint64_t number, int64_t delay_ms)
{
    struct fed_task task = {
        .script = {.task_id = print("t%llu", number),
                   .seed = sim_below(UINT64_MAX),
                   .last_seq = 1 + (int32_t)sim_below(world_mood() == WORLD_SLOW ? 3 : 9),
                   .tools_most = world_mood() == WORLD_ZOMBIE ? 3 : (int32_t)sim_below(4),
                   .dear = world_mood() == WORLD_DEAR || world_mood() == WORLD_CHANGING || one_in(3),
                   .refused = world_mood() == WORLD_FAILING ? one_in(2) : one_in(12),
                   .failing = one_in(12) && !world_is_orderly(),
                   .deadly = world_mood() == WORLD_DEADLY && one_in(4)},
        .session_id = print("s%llu", sim_below(SESSIONS)),
    };

    task.was_deadly = task.script.deadly;
    *p = (struct plan){.task = &ledger_add_task(world_ledger(), &task)->fed, .schema = one_in(10) ? SCHEMA_SLOW : SCHEMA_TASK};
    p->input = (struct task_input){.task_id = task.script.task_id,
                                   .source_agent = SLICE("feeder"),
                                   .target_agent = SLICE(WORLD_AGENT),
                                   .session_id = task.session_id,
                                   .prompt = print("do %llu", number),
                                   .created_at_ms = sim_wall_ms(),
                                   .max_steps = one_in(8) ? 1 + (int32_t)sim_below(3) : -1,
                                   .token_budget = one_in(8) ? 512 : -1,
                                   .deadline_at_ms = one_in(10) ? sim_wall_ms() + delay_ms + (int64_t)sim_below(20 * 1000) : -1};
    p->key = one_in(10) ? (struct slice){NULL, 0} : task.session_id;
}

static void ask_to_cancel(void *task)
{
    struct fed_task *t = task;

    sim_note("somebody cancels %.*s", SLICE_FMT(t->script.task_id));
    t->cancelled = true;
    world_cancel(t->script.task_id);
}

static void feed_one(uint64_t number, int64_t until_ms)
{
    int64_t delay_ms = (int64_t)sim_below((uint64_t)until_ms);
    bool often = world_mood() == WORLD_TWICE || world_mood() == WORLD_REDIS;
    struct plan p;

    make_plan(&p, number, delay_ms);
    feed_task(&p, delay_ms, 0, p.key);
    if (world_is_orderly()) /* a second runner of a task wastes the calls of one of them */
        return;
    if (one_in(often ? 1 : 5)) /* the caller sent it twice */
        feed_task(&p, delay_ms + (int64_t)sim_below(5000), 0, p.key);
    if (one_in(often ? 1 : 8)) /* under another key, so perhaps in another partition */
        feed_task(&p, delay_ms + (int64_t)sim_below(one_in(2) ? 300 : 3000), 0, print("k%llu", sim_below(5)));
    if (one_in(10)) /* somebody used its id for other work */
        feed_task(&p, delay_ms + (int64_t)sim_below(5000), 1, one_in(2) ? p.key : print("k%llu", sim_below(5)));
    if (one_in(12))
        sim_later(delay_ms + (int64_t)sim_below(10 * 1000), ask_to_cancel, p.task);
}

static void feed_poison(int64_t until_ms, struct slice key)
{
    struct fed f = {.kind = FEED_POISON, .topic = WORLD_TASKS, .key = key};

    if (one_in(3))
        f.value = SLICE("\x00\x00\x00\x03\xe7 nobody has this schema");
    else if (one_in(2))
        f.value = SLICE("{\"task_id\":\"plain\"}");
    else
        f.value = (struct slice){NULL, 0};
    add_headers(&f);
    feed_after((int64_t)sim_below((uint64_t)until_ms), &f);
}

/* Can't be a task, but says whose it is: a result is owed. */
static void feed_refused(uint64_t number, int64_t until_ms)
{
    struct fed_task task = {.script = {.task_id = print("r%llu", number)}, .session_id = print("s%llu", sim_below(SESSIONS))};
    struct fed f = {.kind = FEED_REFUSED, .topic = WORLD_TASKS, .key = task.session_id};

    f.task = &ledger_add_task(world_ledger(), &task)->fed;
    f.value = encode(&(struct task_input){.task_id = task.script.task_id,
                                          .source_agent = SLICE("feeder"),
                                          .target_agent = SLICE("somebody-else"),
                                          .session_id = task.session_id,
                                          .prompt = SLICE("wrong address"),
                                          .max_steps = -1,
                                          .token_budget = -1,
                                          .deadline_at_ms = -1},
                     SCHEMA_TASK);
    add_headers(&f);
    feed_after((int64_t)sim_below((uint64_t)until_ms), &f);
}

static struct fed *fed_of_letter(const struct sim_record *letter)
{
    int64_t partition = -1, offset = -1;

    for (size_t i = 0; i < letter->nheaders; i++) {
        if (slice_is(letter->headers[i].name, "__dlq.errors.partition"))
            (void)slice_to_int(letter->headers[i].value, 0, INT32_MAX, &partition);
        if (slice_is(letter->headers[i].name, "__dlq.errors.offset"))
            (void)slice_to_int(letter->headers[i].value, 0, INT64_MAX, &offset);
    }
    return ledger_fed_at(world_ledger(), WORLD_TASKS, (int32_t)partition, offset);
}

static bool is_conflict(const struct sim_record *letter)
{
    for (size_t i = 0; i < letter->nheaders; i++)
        if (slice_is(letter->headers[i].name, "stepmill.code"))
            return slice_is(letter->headers[i].value, "task_id_conflict");
    return false;
}

/* As the dead-letter processor sends it: the same record, with its number. */
static void redrive(const struct fed *of)
{
    struct fed f = *of;
    char number[16];

    f.kind = FEED_REDRIVE;
    f.redrives = of->redrives + 1;
    of->task->redrives = f.redrives;
    of->task->script.refused &= one_in(3);
    of->task->script.failing &= one_in(3);
    of->task->script.deadly &= one_in(3);
    snprintf(number, sizeof number, "%d", f.redrives);
    f.headers = memory_take(world_memory(), (of->nheaders + 1) * sizeof *f.headers);
    f.nheaders = 0;
    for (size_t i = 0; i < of->nheaders; i++)
        if (!slice_starts_with(of->headers[i].name, "stepmill."))
            f.headers[f.nheaders++] = of->headers[i];
    f.headers[f.nheaders++] = (struct kafka_header){SLICE("stepmill.redrives"), memory_copy(world_memory(), slice_of(number))};
    feed_after((int64_t)sim_below(5000), &f);
    if (!one_in(world_mood() == WORLD_FAILING ? 1 : 4))
        return;
    if (one_in(2)) /* sent twice, perhaps by two hands at the same time, into another partition */
        f.key = print("k%llu", sim_below(5));
    feed_after((int64_t)sim_below(one_in(2) ? 300 : 5000), &f);
}

static void look_for_letters(void *unused)
{
    size_t n;
    const struct sim_record *records = sim_kafka_records(&n);

    for (size_t i = 0; i < n; i++) {
        struct fed *of = strcmp(records[i].topic, WORLD_DLQ) ? NULL : fed_of_letter(&records[i]);

        if (of && of->task && (of->kind == FEED_TASK || of->kind == FEED_REDRIVE) && of->redrives < REDRIVES_MOST &&
            of->task->redrives == of->redrives && !is_conflict(&records[i]) && (world_mood() == WORLD_FAILING || one_in(2)))
            redrive(of);
    }
    if (!world_is_healed())
        sim_later(LOOK_EVERY_MS, look_for_letters, unused);
}

/* One record that takes long, and many behind it that do not. */
static void feed_crowd(uint64_t number)
{
    uint64_t n = 20 + sim_below(60);
    struct plan p;

    make_plan(&p, number, 0);
    p.schema = SCHEMA_SLOW;
    feed_task(&p, 0, 0, p.key);
    for (uint64_t i = 0; i < n; i++)
        feed_poison(1 + (int64_t)sim_below(4000), print("k%llu", i));
}

void feed_begin(int64_t until_ms)
{
    uint64_t ntasks = 1 + sim_below(6);

    if (world_mood() == WORLD_CROWDED)
        feed_crowd(ntasks);
    for (uint64_t i = 0; i < ntasks; i++)
        feed_one(i, until_ms);
    if (one_in(4))
        feed_poison(until_ms, print("s%llu", sim_below(SESSIONS)));
    if (one_in(6))
        feed_refused(0, until_ms);
    sim_later(LOOK_EVERY_MS, look_for_letters, NULL);
}
