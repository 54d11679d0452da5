/* Makes calls on cells and waits for their answers. */
#include "helper_redis_cells.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct log quiet = {.level = LOG_LEVEL_ERROR + 1, .fd = 2, .role = "test"};

static void copy(char *to, size_t room, struct slice from) { snprintf(to, room, "%.*s", SLICE_FMT(from)); }

static void copy_lists(struct seen *s, const struct cells_answer *a)
{
    if (a->ncells > SEEN_CELLS_MAX || a->nmessages > SEEN_MESSAGES_MAX)
        bug("the test has no room for %zu cells and %zu messages", a->ncells, a->nmessages);
    s->ncells = a->ncells;
    for (size_t i = 0; i < a->ncells; i++) {
        s->cells[i] = a->cells[i];
        copy(s->texts[i], SEEN_TEXT_MAX, a->cells[i].bytes);
        s->cells[i].bytes = slice_of(s->texts[i]);
    }
    s->nmessages = a->nmessages;
    for (size_t i = 0; i < a->nmessages; i++) {
        copy(s->messages[i], SEEN_TEXT_MAX, a->messages[i]);
        s->message_bytes += a->messages[i].len;
    }
}

static void on_answer(void *ctx, struct ticket t, enum cells_op op, const struct cells_answer *a)
{
    struct cells_world *w = ctx;
    struct seen *s = &w->seen;

    if (t.task != w->ticket || s->answered)
        bug("answer to ticket %llu came, %s", (unsigned long long)t.task,
            s->answered ? "a second time" : "which nobody waits for");
    *s = (struct seen){
        .answered = true,
        .op = op,
        .code = a->error.code,
        .status = a->status,
        .cancel = a->cancel,
        .done_found = a->done_found,
        .done = a->done,
        .written = a->written,
        .orphans = a->orphans,
        .now_ms = a->now_ms,
        .starts = a->starts,
        .raised = a->raised,
        .session_tokens = a->session_tokens,
        .since_ms = a->claim.since_ms,
        .timeout_ms = a->claim.timeout_ms,
    };
    copy(s->topic, sizeof s->topic, a->done.origin.topic);
    copy(s->nonce, sizeof s->nonce, a->claim.nonce);
    copy_lists(s, a);
}

static bool is_up(void *w) { return redis_is_up(((struct cells_world *)w)->redis); }
static bool is_answered(void *w) { return ((struct cells_world *)w)->seen.answered; }

struct cells_world *cells_world_begin(void)
{
    struct cells_world *w = calloc(1, sizeof *w);
    char url[64];

    redis_server_prepare(&w->server);
    redis_server_start(&w->server, NULL);
    w->loop = loop_new();
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", w->server.port);
    if (failed(redis_new(w->loop, &quiet, &(struct redis_options){.url = url, .call_timeout_ms = 20000}, &w->redis)))
        bug("no client");
    w->cells = cells_new(w->redis, &quiet, &(struct cells_options){.prefix = "p:", .answered = on_answer, .ctx = w});
    if (!turn_until(w->loop, is_up, w, 60))
        bug("the client does not come up: %s", redis_why_down(w->redis).text);
    return w;
}

void cells_world_end(struct cells_world *w)
{
    redis_free(w->redis);
    cells_free(w->cells);
    loop_free(w->loop);
    redis_server_end(&w->server);
    free(w);
}

struct ticket cells_world_next(struct cells_world *w)
{
    w->seen.answered = false;
    return (struct ticket){++w->ticket, 1};
}

const struct seen *cells_world_wait(struct cells_world *w)
{
    if (!turn_until(w->loop, is_answered, w, 60))
        bug("no answer");
    return &w->seen;
}

const char *cells_world_ask(const struct cells_world *w, const char *format, ...)
{
    static char answer[4096];
    char command[512];
    const char *raw;
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    raw = redis_server_ask(&w->server, command);
    snprintf(answer, sizeof answer, "%s", raw[0] ? raw + 1 : "");
    answer[strcspn(answer, "\r\n")] = '\0';
    return answer;
}

int64_t cells_world_number(const struct cells_world *w, const char *command)
{
    return strtoll(cells_world_ask(w, "%s", command), NULL, 10);
}

struct cell cell_make(int32_t seq, const struct cell *parents, size_t nparents, const char *text)
{
    struct slice parts[40];

    for (size_t i = 0; i < nparents; i++)
        parts[i] = digest_slice(&parents[i].digest);
    parts[nparents] = slice_of(text);
    return (struct cell){.seq = seq, .digest = digest_of(parts, nparents + 1), .bytes = slice_of(text)};
}

struct story story_of(const char *who)
{
    static const char *const kinds[] = {"start", "model", "tool", "tool", "end"};
    struct story s;

    for (int i = 0; i < 5; i++)
        snprintf(s.text[i], sizeof s.text[i], "%s%d-%s", kinds[i], i, who);
    story_continue(&s, 0);
    return s;
}

static const struct {
    int first, count, above;
} place[] = {{0, 0, 1}, {0, 1, 2}, {1, 1, 4}, {1, 1, 4}, {1, 3, 5}};

void story_continue(struct story *s, int from)
{
    for (int i = from; i < 5; i++) {
        s->cell[i] = cell_make(i, &s->cell[place[i].first], (size_t)place[i].count, s->text[i]);
        s->cell[i].bytes = (struct slice){NULL, 0}; /* the struct may move */
    }
}

struct cells_write story_write(const struct story *s, int i)
{
    struct cells_write write = {
        .cell = s->cell[i],
        .parents = &s->cell[place[i].first],
        .nparents = (size_t)place[i].count,
        .above = place[i].above,
        .tokens = i == 1 ? 100 : 0,
        .day = 20261121,
    };

    write.cell.bytes = slice_of(s->text[i]);
    return write;
}

const struct seen *story_record(struct cells_world *w, const struct story *s, int from, int to, int group, uint64_t held)
{
    struct cells_write writes[5];
    struct cells_record r = {.task_id = SLICE("t"),
                             .session_id = SLICE("s"),
                             .agent = SLICE("a"),
                             .cells = writes,
                             .group_first = group,
                             .held = held};

    for (int i = from; i <= to; i++)
        writes[r.ncells++] = story_write(s, i);
    r.messages_seq = to == 4 ? 4 : -1;
    r.messages[0] = SLICE("question");
    r.messages[1] = SLICE("answer");
    cells_record(w->cells, cells_world_next(w), &r);
    return cells_world_wait(w);
}

bool is_cell(const struct seen *s, size_t i, const struct story *of, int seq)
{
    return i < s->ncells && s->cells[i].seq == seq && digest_equal(&s->cells[i].digest, &of->cell[seq].digest) &&
           !strcmp(s->texts[i], of->text[seq]);
}
