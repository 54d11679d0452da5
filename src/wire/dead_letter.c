/* Headers of dead letters: the original ones, then ours. */
#include "stepmill/dead_letter.h"

#include "stepmill/digest.h"
#include "stepmill/fingerprint.h"
#include "stepmill/utf8.h"

static bool is_ours(struct slice name)
{
    return slice_starts_with(name, "__dlq.errors.") || slice_starts_with(name, "stepmill.");
}

static struct slice number(struct arena *arena, int64_t v)
{
    char room[32];
    struct buf b = BUF_IN(room);

    buf_put_int(&b, v);
    return arena_copy(arena, buf_slice(&b));
}

/* One printable line of bounded length. */
static struct slice bounded(struct arena *arena, struct slice text)
{
    struct slice copy = arena_copy(arena, utf8_cut(text.at ? text : SLICE(""), DEAD_LETTER_MESSAGE_MAX));
    char *at = (char *)(uintptr_t)copy.at;

    if (!at)
        return copy;
    for (size_t i = 0; i < copy.len; i++)
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = ' ';
    if (!utf8_valid(copy))
        for (size_t i = 0; i < copy.len; i++)
            if ((unsigned char)at[i] >= 0x80)
                at[i] = '?';
    return copy;
}

static struct slice id_of(struct arena *arena, const struct origin *o)
{
    char room[512];
    struct buf b = BUF_IN(room);

    buf_put_slice(&b, o->topic);
    buf_printf(&b, ":%d:%lld", o->partition, (long long)o->offset);
    return arena_copy(arena, buf_slice(&b));
}

struct writer {
    struct kafka_header *headers;
    size_t n;
    bool failed; /* the arena is full */
};

static void put(struct writer *w, const char *name, struct slice value)
{
    if (value.at)
        w->headers[w->n++] = (struct kafka_header){slice_of(name), value};
}

/* The same for what was made in the arena: absent means that there was no room. */
static void put_made(struct writer *w, const char *name, struct slice value)
{
    w->failed |= !value.at;
    put(w, name, value);
}

static void put_ours(struct writer *w, const struct dead_letter *l, struct slice first_failed_at, struct arena *arena)
{
    struct slice message = bounded(arena, l->message), fingerprint_text;
    char print[FINGERPRINT_LENGTH + 1];

    fingerprint(print, l->class, l->stage, message);
    fingerprint_text = arena_copy(arena, slice_of(print));
    put(w, "__dlq.errors.topic", l->origin.topic);
    put_made(w, "__dlq.errors.partition", number(arena, l->origin.partition));
    put_made(w, "__dlq.errors.offset", number(arena, l->origin.offset));
    put(w, "__dlq.errors.group", l->group);
    put_made(w, "__dlq.errors.message", message);
    put_made(w, "stepmill.id", id_of(arena, &l->origin));
    put(w, "stepmill.task_id", l->task_id);
    put(w, "stepmill.agent", l->agent);
    put(w, "stepmill.class", l->class);
    put(w, "stepmill.code", l->code);
    put(w, "stepmill.stage", l->stage);
    put_made(w, "stepmill.step", number(arena, l->step));
    put_made(w, "stepmill.attempts", number(arena, l->attempts));
    put_made(w, "stepmill.fingerprint", fingerprint_text);
    put_made(w, "stepmill.first_failed_at",
             first_failed_at.at ? first_failed_at
                                : number(arena, l->first_failed_at_ms >= 0 ? l->first_failed_at_ms : l->failed_at_ms));
    put_made(w, "stepmill.failed_at", number(arena, l->failed_at_ms));
    if (l->started_at_ms >= 0)
        put_made(w, "stepmill.started_at", number(arena, l->started_at_ms));
    put_made(w, "stepmill.redrives", number(arena, l->redrives));
    put(w, "stepmill.retryable", l->retryable ? SLICE("true") : SLICE("false"));
    put(w, "stepmill.worker", l->worker);
    if (l->schema_id >= 0)
        put_made(w, "stepmill.schema_id", number(arena, l->schema_id));
    put(w, "stepmill.value_omitted", l->value_omitted);
}

bool dead_letter_headers(const struct dead_letter *letter, const struct kafka_header *original, size_t noriginal,
                         struct arena *arena, const struct kafka_header **headers, size_t *n)
{
    struct writer w = {.headers = arena_alloc(arena, (noriginal + DEAD_LETTER_HEADERS) * sizeof *w.headers)};
    struct slice first_failed_at = {NULL, 0};
    int64_t ms; /* anybody can send that header: only a time counts */

    if (!w.headers)
        return false;
    for (size_t i = 0; i < noriginal; i++) {
        if (slice_is(original[i].name, "stepmill.first_failed_at") && slice_to_int(original[i].value, 0, INT64_MAX, &ms))
            first_failed_at = original[i].value;
        if (!is_ours(original[i].name))
            w.headers[w.n++] = original[i];
    }
    put_ours(&w, letter, first_failed_at, arena);
    *headers = w.headers;
    *n = w.n;
    return !w.failed;
}

struct slice dead_letter_omitted(struct slice value, const struct origin *origin, struct arena *arena)
{
    char hex[65], room[1024];
    struct slice id = id_of(arena, origin);
    struct buf b = BUF_IN(room);

    sha256_text(hex, value);
    buf_printf(&b, "size=%zu, sha256=%s, origin=%.*s", value.len, hex, SLICE_FMT(id));
    return id.at ? arena_copy(arena, buf_slice(&b)) : id;
}
