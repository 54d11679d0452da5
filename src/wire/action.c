/* DeadLetterAction, written and read. */
#include "stepmill/action.h"

#include "avro_tables.h"
#include "stepmill/avro_put.h"
#include "stepmill/digest.h"
#include "stepmill/random.h"
#include "stepmill/wire_format.h"

static const char *const names[ACTION_KINDS] = {
    [ACTION_ACKNOWLEDGED] = "acknowledged",
    [ACTION_ASSIGNED] = "assigned",
    [ACTION_NOTED] = "noted",
    [ACTION_PARKED] = "parked",
    [ACTION_UNPARKED] = "unparked",
    [ACTION_DISCARDED] = "discarded",
    [ACTION_REOPENED] = "reopened",
    [ACTION_RETRY_SCHEDULED] = "retry_scheduled",
    [ACTION_REDRIVEN] = "redriven",
    [ACTION_SKIPPED] = "skipped",
    [ACTION_RESOLVED] = "resolved",
    [ACTION_GROUP_RESOLVED] = "group_resolved",
    [ACTION_GROUP_REOPENED] = "group_reopened",
    [ACTION_GROUP_ASSIGNED] = "group_assigned",
    [ACTION_ALERTED] = "alerted",
    [ACTION_JOB_REQUESTED] = "job_requested",
    [ACTION_JOB_SELECTED] = "job_selected",
    [ACTION_JOB_PAUSED] = "job_paused",
    [ACTION_JOB_RESUMED] = "job_resumed",
    [ACTION_JOB_CANCELLED] = "job_cancelled",
    [ACTION_JOB_FINISHED] = "job_finished",
    [ACTION_ACCESS_REFUSED] = "access_refused",
    [ACTION_EXPORTED] = "exported",
};

const char *action_kind_name(enum action_kind kind) { return kind < ACTION_KINDS ? names[kind] : "unknown"; }

enum action_kind action_kind_of(struct slice name)
{
    enum action_kind kind = 0;

    while (kind < ACTION_KINDS && !slice_is(name, names[kind]))
        kind++;
    return kind;
}

struct slice action_key(const struct action *a)
{
    enum action_kind kind = action_kind_of(a->kind);
    bool of_letter = kind == ACTION_REDRIVEN || kind == ACTION_SKIPPED;

    if (a->job.len && !of_letter)
        return a->job;
    if (a->letter.len)
        return a->letter;
    return a->group.len ? a->group : a->id;
}

void action_new_id(char text[37], int64_t wall_ms) { random_uuid7(text, wall_ms); }

void action_id_of(char text[37], struct slice who, struct slice key, struct slice what)
{
    static const unsigned char version = 0x80, variant = 0x80;
    const uint64_t lengths[3] = {who.len, key.len, what.len};
    const struct slice parts[] = {{(const char *)lengths, sizeof lengths}, who, key, what};
    struct digest d = digest_of(parts, sizeof parts / sizeof *parts);
    unsigned char b[16];
    char hex[33];
    struct buf to = {.at = text, .room = 36, .max = 36};

    memcpy(b, digest_slice(&d).at, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | version);
    b[8] = (unsigned char)((b[8] & 0x3f) | variant);
    hex_encode(hex, b, sizeof b);
    buf_printf(&to, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    text[36] = '\0';
}

/* ---- Reading */

static const struct avro_take letter_rows[] = {TEXT(action_letter, "id", id)};
static const struct avro_record letter_reader = READER(action_letter, "LetterId", letter_rows);

static const struct avro_take term_rows[] = {TEXT(action_term, "name", name), TEXT(action_term, "value", value)};
static const struct avro_record term_reader = READER(action_term, "FilterTerm", term_rows);

static const struct avro_take count_rows[] = {TEXT(action_count, "name", name), NUMBER(LONG, action_count, "n", n)};
static const struct avro_record count_reader = READER(action_count, "Count", count_rows);

static const struct avro_take action_rows[] = {
    TEXT(action, "id", id),
    NUMBER(MILLIS, action, "at", at_ms),
    TEXT(action, "kind", kind),
    TEXT(action, "actor", actor),
    OPTIONAL_TEXT(action, "actor_kind", actor_kind),
    OPTIONAL_TEXT(action, "reason", reason),
    OPTIONAL_TEXT(action, "request", request),
    OPTIONAL_TEXT(action, "letter", letter),
    OPTIONAL_TEXT(action, "group", group),
    OPTIONAL_TEXT(action, "job", job),
    OPTIONAL_TEXT(action, "name", name),
    OPTIONAL_TEXT(action, "detail", detail),
    NULLABLE_NUMBER(MILLIS, action, "due_at", due_at_ms, -1),
    LIST(ARRAY, action, "letters", letters, nletters, letter_reader, ACTION_LETTERS_MAX, true),
    OPTIONAL_NUMBER(BOOL, action, "last", last, 0),
    LIST(ARRAY, action, "filter", filter, nfilter, term_reader, ACTION_TERMS_MAX, true),
    LIST(ARRAY, action, "counts", counts, ncounts, count_reader, ACTION_TERMS_MAX, true),
    OPTIONAL_NUMBER(INT, action, "cap", cap, 0),
    OPTIONAL_NUMBER(INT, action, "rate", rate, 0),
    OPTIONAL_NUMBER(INT, action, "canary", canary, 0),
    OPTIONAL_NUMBER(BOOL, action, "from_start", from_start, 0),
    OPTIONAL_NUMBER(INT, action, "redrives", redrives, 0),
    OPTIONAL_TEXT(action, "topic", topic),
    OPTIONAL_TEXT(action, "task_id", task_id),
    OPTIONAL_NUMBER(BOOL, action, "edited", edited, 0),
};
const struct avro_record action_reader = READER(action, "DeadLetterAction", action_rows);

struct error action_read(const struct avro_plan *plan, struct slice avro, struct arena *arena, struct action *a,
                         struct detail *detail)
{
    return avro_plan_decode(plan, avro, arena, a, detail);
}

/* ---- Writing */

/* The head of an array's only block; its end is one more avro_put_long(to, 0). An empty array is its end alone. */
static void put_count(struct buf *to, size_t n)
{
    if (n)
        avro_put_long(to, (int64_t)n);
}

static void put_lists(struct buf *to, const struct action *a)
{
    put_count(to, a->nletters);
    for (size_t i = 0; i < a->nletters; i++)
        avro_put_string(to, a->letters[i].id);
    avro_put_long(to, 0);
    avro_put_bool(to, a->last);
    put_count(to, a->nfilter);
    for (size_t i = 0; i < a->nfilter; i++) {
        avro_put_string(to, a->filter[i].name);
        avro_put_string(to, a->filter[i].value);
    }
    avro_put_long(to, 0);
    put_count(to, a->ncounts);
    for (size_t i = 0; i < a->ncounts; i++) {
        avro_put_string(to, a->counts[i].name);
        avro_put_long(to, a->counts[i].n);
    }
    avro_put_long(to, 0);
}

void action_put(struct buf *to, uint32_t schema_id, const struct action *a)
{
    wire_put(to, schema_id);
    avro_put_string(to, a->id);
    avro_put_long(to, a->at_ms);
    avro_put_string(to, a->kind);
    avro_put_string(to, a->actor);
    avro_put_string(to, a->actor_kind);
    avro_put_string(to, a->reason);
    avro_put_string(to, a->request);
    avro_put_string(to, a->letter);
    avro_put_string(to, a->group);
    avro_put_string(to, a->job);
    avro_put_string(to, a->name);
    avro_put_string(to, a->detail);
    avro_put_optional_long(to, a->due_at_ms, -1);
    put_lists(to, a);
    avro_put_long(to, a->cap);
    avro_put_long(to, a->rate);
    avro_put_long(to, a->canary);
    avro_put_bool(to, a->from_start);
    avro_put_long(to, a->redrives);
    avro_put_string(to, a->topic);
    avro_put_string(to, a->task_id);
    avro_put_bool(to, a->edited);
}
