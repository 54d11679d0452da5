/* The servers behind the simulated network: models and tools, and all the ways in which they and the way to them fail. */
#include "http_hosts.h"

#include "ledger.h"
#include "sim.h"
#include "stepmill/error.h"
#include "world.h"

enum { MODELS = 2, NEVER_MS = 600 * 1000 };

/* What becomes of one request. */
enum fate {
    FATE_FINE,
    FATE_REFUSED,     /* no connection */
    FATE_LOST_BEFORE, /* cut before the server read it */
    FATE_LOST_AFTER,  /* carried out, then cut */
    FATE_HANGS,       /* carried out, no answer */
    FATE_LATE,        /* carried out, the answer takes very long */
    FATE_429,
    FATE_500_BEFORE,
    FATE_500_AFTER,
    FATE_503,
    FATE_401,
    FATE_GARBAGE,
    FATE_TRUNCATED,
    FATE_HUGE,
    FATES,
};

struct http_host *http_host_of(struct slice url)
{
    struct http_host *hosts = world_hosts();

    for (int i = 0; i < MODELS; i++)
        if (slice_is(url, i ? "http://model-1" : "http://model-0"))
            return &hosts[i];
    for (int i = 0; i < SCRIPT_TOOLS; i++)
        if (slice_starts_with(url, "http://tool-") && slice_is((struct slice){url.at + 12, url.len - 12}, script_tool_names[i]))
            return &hosts[MODELS + i];
    bug("nobody lives at %.*s", SLICE_FMT(url));
}

void http_hosts_init(void)
{
    struct http_host *hosts = world_hosts();

    for (int i = 0; i < MODELS; i++)
        hosts[i] = (struct http_host){
            .kind = HOST_MODEL, .number = i, .out_until = world_mood() == WORLD_WAITING ? INT64_MAX : 0, .out_status = 503};
    for (int i = 0; i < SCRIPT_TOOLS; i++)
        hosts[MODELS + i] = (struct http_host){.kind = HOST_TOOL, .number = i};
}

void http_hosts_heal(void)
{
    struct http_host *hosts = world_hosts();

    for (int i = 0; i < MODELS + SCRIPT_TOOLS; i++)
        hosts[i].out_until = 0;
}

static void answer_after(struct http_exchange *x, int64_t delay_ms)
{
    sim_deliver(http_port_process(x->port), delay_ms, http_client_receive, x);
}

static void fail_after(struct http_exchange *x, int64_t delay_ms, struct error error)
{
    x->error = error;
    answer_after(x, delay_ms);
}

static void status(struct http_exchange *x, int code, const char *head, const char *body)
{
    x->status = code;
    x->head = slice_of(head);
    x->body_text = slice_of(body);
}

/* The server does what it was asked to. */
static void carry_out(struct http_exchange *x)
{
    uint32_t asked = ledger_carried_out(world_ledger(), x);
    const struct script_task *t = ledger_script(world_ledger(), x->task_id);

    if (x->host->kind == HOST_TOOL) {
        x->status = 200;
        x->body_text = script_tool_answer(world_memory(), x->key, asked);
    } else if (t->refused) {
        status(x, 400, "", "{\"error\":{\"message\":\"not like this\",\"type\":\"invalid_request_error\"}}");
    } else if (t->failing) {
        status(x, 500, "", "{\"error\":{\"message\":\"this one breaks me\"}}");
    } else {
        x->status = 200;
        x->body_text = script_answer(world_memory(), t, x->seq, asked);
    }
}

static int64_t think_ms(const struct http_exchange *x)
{
    if (world_mood() == WORLD_SLOW)
        return x->host->kind == HOST_MODEL ? 1000 + (int64_t)sim_below(14 * 1000) : 100 + (int64_t)sim_below(8000);
    return x->host->kind == HOST_MODEL ? 100 + (int64_t)sim_below(900) : 5 + (int64_t)sim_below(200);
}

/* An answer that is a whole one, of another status. Nothing was carried out. */
static void turned_away(struct http_exchange *x, enum fate fate)
{
    if (fate == FATE_429)
        status(x, 429, sim_below(2) ? "Retry-After: 2\r\n" : "", "{\"error\":{\"message\":\"slow down\"}}");
    else if (fate == FATE_503)
        status(x, 503, sim_below(2) ? "Retry-After: 1\r\n" : "", "busy");
    else if (fate == FATE_401)
        status(x, 401, "", "{\"error\":{\"message\":\"no such key\"}}");
    else
        status(x, 500, "", "oops");
    answer_after(x, 5 + (int64_t)sim_below(50));
}

static void spoil(struct http_exchange *x, enum fate fate)
{
    int64_t delay_ms = think_ms(x);

    switch (fate) {
    case FATE_LOST_AFTER:
        fail_after(x, delay_ms, error_make(CLASS_AGAIN, "connection_lost", "the connection ended before the answer"));
        return;
    case FATE_HANGS:
        return;
    case FATE_LATE:
        answer_after(x, delay_ms + (int64_t)sim_below(90 * 1000));
        return;
    case FATE_500_AFTER:
        status(x, 500, "", "oops, too late");
        break;
    case FATE_GARBAGE:
        status(x, 200, "", "<html>\xff</html>");
        break;
    case FATE_TRUNCATED:
        x->error = error_make(CLASS_AGAIN, "connection_lost", "the answer was cut off");
        x->body_text.len /= 2;
        break;
    case FATE_HUGE:
        x->error = error_make(CLASS_AGAIN, "too_large", "the answer is larger than max_body");
        break;
    default:
        break;
    }
    answer_after(x, delay_ms);
}

static void begin_outage(struct http_host *h)
{
    static const int statuses[] = {0, 503, 503, 429, 401};

    h->out_until = sim_now_ms() + 1000 + (int64_t)sim_below(60 * 1000);
    h->out_status = statuses[sim_below(h->kind == HOST_MODEL ? 5 : 3)];
    sim_note("%s %d is out for %lld ms, answers %d", h->kind == HOST_MODEL ? "model" : "tool", h->number,
             (long long)(h->out_until - sim_now_ms()), h->out_status);
}

static enum fate fate_of(const struct http_exchange *x)
{
    enum fate fate = FATE_FINE;

    if (sim_fault(SIM_FAULT_HTTP))
        fate = (enum fate)(1 + sim_below(FATES - 1));
    if (x->host->kind == HOST_TOOL && (fate == FATE_401 || fate == FATE_GARBAGE))
        fate = FATE_LOST_AFTER;
    return fate;
}

static void arrive(void *exchange)
{
    struct http_exchange *x = exchange;
    struct http_host *h = x->host;
    enum fate fate = fate_of(x);

    if (sim_fault(SIM_FAULT_HTTP_OUTAGE))
        begin_outage(h);
    if (h->out_until > sim_now_ms())
        fate = h->out_status == 503 ? FATE_503 : h->out_status == 429 ? FATE_429 : h->out_status == 401 ? FATE_401 : FATE_REFUSED;
    if (fate != FATE_FINE)
        sim_note("%s %d: fate %d for %.*s", h->kind == HOST_MODEL ? "model" : "tool", h->number, fate, SLICE_FMT(x->key));
    switch (fate) {
    case FATE_REFUSED:
        x->sent = false;
        fail_after(x, 1, error_make(CLASS_AGAIN, "connect_failed", "connection refused"));
        return;
    case FATE_LOST_BEFORE:
        fail_after(x, 1 + (int64_t)sim_below(20), error_make(CLASS_AGAIN, "connection_lost", "the connection ended"));
        return;
    case FATE_429:
    case FATE_503:
    case FATE_401:
    case FATE_500_BEFORE:
        turned_away(x, fate);
        return;
    default:
        carry_out(x);
        if (sim_fault(SIM_FAULT_DEATH))
            sim_strike(http_port_process(x->port));
        spoil(x, fate);
        return;
    }
}

static void die(void *process) { sim_kill(process); }

void http_host_send(struct http_exchange *x)
{
    ledger_called(world_ledger(), x);
    if (x->host->kind == HOST_MODEL && ledger_script(world_ledger(), x->task_id)->deadly)
        sim_later((int64_t)sim_below(20), die, http_port_process(x->port));
    x->sent = true;
    sim_later(1 + (int64_t)sim_below(10), arrive, x);
}
