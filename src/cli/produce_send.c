/* The producer of stepmill produce: one line of output per acknowledged record. */
#include "produce.h"

#include <stdlib.h>

#include "admin.h"
#include "stepmill/clock.h"
#include "stepmill/json.h"
#include "stepmill/random.h"
#include "stepmill/trace.h"

enum { REGISTRY_WAIT_MS = 10000, FLUSH_MS = 60000, REFUSALS_SHOWN = 10 };

/* ---- Slots: memory for what is under way only, however many tasks there are */

static bool take_slot(struct produce *p, struct slice id, size_t *slot)
{
    size_t room = p->nslots ? p->nslots * 2 : 64;
    struct produce_slot *slots;

    if (p->free_slot == p->nslots) {
        slots = realloc(p->slots, room * sizeof *slots);
        if (!slots)
            return false;
        for (size_t i = p->nslots; i < room; i++)
            slots[i].next_free = i + 1;
        p->slots = slots;
        p->nslots = room;
    }
    *slot = p->free_slot;
    p->free_slot = p->slots[*slot].next_free;
    memcpy(p->slots[*slot].id, id.at, id.len);
    p->slots[*slot].id[id.len] = '\0';
    return true;
}

static void give_slot(struct produce *p, size_t slot)
{
    p->slots[slot].next_free = p->free_slot;
    p->free_slot = slot;
}

/* ---- Outcomes */

/* The likeliest cause when the topic or its subject is not there. */
static void hint_at_agent(const struct produce *p)
{
    if (!p->config->nagents || config_agent(p->config, slice_of(p->agent)))
        return;
    fprintf(stderr, "stepmill produce: the config has no agent \"%s\"; it has:", p->agent);
    for (size_t i = 0; i < p->config->nagents; i++)
        fprintf(stderr, " %s", p->config->agents[i].name);
    fputc('\n', stderr);
}

static void refused(struct produce *p, const char *id, const struct kafka_delivery *d)
{
    const char *help = d->error.class == CLASS_AGAIN
                           ? "is a broker up at kafka.bootstrap.servers? `stepmill doctor` tries. The same task_id may be sent "
                             "again: a duplicate gives no second result"
                           : "`stepmill doctor` tries what a client needs, `stepmill topics list` tells the topic's settings";

    p->refused++;
    if (p->refused <= REFUSALS_SHOWN)
        cli_fail(p->cli, "%s was not acknowledged: %s (%s)", id, d->error.text, d->name ? d->name : d->error.code);
    if (p->refused == 1)
        cli_fail(p->cli, "%s: %s", buf_text(&p->topic), help);
}

static bool print(const struct produce *p, const char *id, const struct kafka_delivery *d)
{
    struct buf out = BUF(4096);
    bool written;

    if (p->cli->json) {
        buf_put_text(&out, "{\"task_id\": ");
        json_put_string(&out, slice_of(id));
        buf_printf(&out, ", \"topic\": \"%s\", \"partition\": %d, \"offset\": %lld}\n", d->topic, d->partition,
                   (long long)d->offset);
    } else {
        buf_printf(&out, "%s %s %d %lld\n", id, d->topic, d->partition, (long long)d->offset);
    }
    written = !out.failed && fwrite(out.at, 1, out.len, stdout) == out.len;
    buf_free(&out);
    return written;
}

static void delivered(void *context, const struct kafka_delivery *d)
{
    struct produce *p = context;
    const char *id = p->slots[d->tag].id;

    p->delivered++;
    if (failed(d->error))
        refused(p, id, d);
    else if (!print(p, id, d))
        p->output_gone = true;
    give_slot(p, (size_t)d->tag);
    cli_progress_show(&p->progress, (int64_t)p->delivered);
}

/* ---- Sending */

static const char *send(struct produce *p, struct slice id, struct kafka_output *record)
{
    struct error error;
    size_t slot;

    if (!take_slot(p, id, &slot))
        return "no memory left";
    record->topic = buf_text(&p->topic);
    record->tag = slot;
    error = kafka_producer_send(p->producer, record);
    if (failed(error)) {
        give_slot(p, slot);
        return kafka_producer_detail(p->producer);
    }
    p->sent++;
    return NULL;
}

const char *produce_task(struct produce *p, const struct task_input *task, struct detail *detail)
{
    struct buf value = BUF((size_t)p->config->limits.record);
    uint8_t random[TRACE_RANDOM];
    char parent[TRACEPARENT_SIZE];
    struct kafka_header header = {SLICE("traceparent"), {parent, TRACEPARENT_SIZE - 1}};
    const char *wrong = NULL;
    struct trace trace;

    if (failed(task_check(task, slice_of(p->agent), detail)))
        return detail->text;
    if (!task->prompt.len)
        return "prompt is missing";
    random_bytes(random, sizeof random);
    trace_from_headers((struct slice){NULL, 0}, (struct slice){NULL, 0}, random, &trace);
    trace_format(&trace, parent);
    task_put(&value, p->schema_id, task);
    if (value.failed) {
        snprintf(detail->text, sizeof detail->text,
                 "the record is larger than limits.record (%lld bytes), the worker would refuse it",
                 (long long)p->config->limits.record);
        wrong = detail->text;
    } else {
        wrong =
            send(p, task->task_id,
                 &(struct kafka_output){.key = task->session_id, .value = buf_slice(&value), .headers = &header, .nheaders = 1});
    }
    buf_free(&value);
    return wrong;
}

const char *produce_raw(struct produce *p, struct slice value)
{
    return send(p, SLICE("raw"), &(struct kafka_output){.key = slice_of(p->session), .value = value});
}

void produce_keep_pace(struct produce *p)
{
    int64_t due = p->rate ? p->progress.started_ms + (int64_t)p->sent * 1000 / p->rate : 0;
    int64_t wait;

    do {
        wait = due - clock_mono_ms();
        kafka_producer_poll(p->producer, wait > 0 ? (int)(wait < 1000 ? wait : 1000) : 0);
    } while (wait > 0);
}

int produce_finish(struct produce *p, int code)
{
    if (failed(kafka_producer_flush(p->producer, FLUSH_MS)))
        code = cli_fail(p->cli, "%zu of %zu records were not acknowledged within %d s; `stepmill doctor` tries what is missing",
                        p->sent - p->delivered, p->sent, FLUSH_MS / 1000);
    cli_progress_end(&p->progress, (int64_t)p->delivered);
    if (p->refused)
        cli_fail(p->cli, "%zu of %zu records sent were not acknowledged", p->refused, p->sent);
    if (fflush(stdout) || p->output_gone)
        return cli_fail(p->cli, "cannot write the output; %zu of %zu records are acknowledged", p->delivered - p->refused,
                        p->sent);
    return p->refused ? CLI_FAILED : code;
}

/* ---- Opening */

static bool open_registry(struct produce *p)
{
    char subject[600];
    struct error error;

    snprintf(subject, sizeof subject, "%s-value", buf_text(&p->topic));
    if (!cli_link_open(p->cli, p->config, &p->link))
        return false;
    error = registry_want(p->link.registry, subject, OWN_TASK);
    if (failed(error)) {
        cli_fail(p->cli, "schema_registry: %s", error.text);
        return false;
    }
    if (cli_link_ready(p->cli, &p->link, REGISTRY_WAIT_MS) && registry_id(p->link.registry, subject, &p->schema_id))
        return true;
    hint_at_agent(p);
    return false;
}

/* A missing topic would be known only after 15 s, as a time-out. */
static bool find_topic(struct produce *p)
{
    struct kafka_admin *admin = cli_admin_open(p->cli, p->config);
    struct cli_partitions partitions;
    bool found = admin && cli_partitions(p->cli, p->config, admin, buf_text(&p->topic), &partitions);

    if (found)
        cli_partitions_free(&partitions);
    else if (admin)
        hint_at_agent(p);
    kafka_admin_close(admin);
    return found;
}

bool produce_open(struct produce *p)
{
    struct kafka_options kafka = cli_kafka(p->cli, p->config);
    char detail[256] = "";
    struct error error;

    if (p->cli->log.level < LOG_LEVEL_WARN)
        p->cli->log.level = LOG_LEVEL_WARN;
    p->topic = BUF(512);
    config_tasks_topic(p->config, p->agent, &p->topic);
    if ((!p->raw && !open_registry(p)) || !find_topic(p))
        return false;
    error = kafka_producer_open(&p->producer, &kafka, delivered, p, detail, sizeof detail);
    if (failed(error))
        cli_fail(p->cli, "kafka: %s: %s", error.text, detail);
    return !failed(error);
}

void produce_close(struct produce *p)
{
    kafka_producer_close(p->producer);
    cli_link_close(&p->link);
    buf_free(&p->topic);
    free(p->slots);
}
