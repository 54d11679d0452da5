/* Fuzzes the reader of dead letters, whoever wrote them: any headers give a letter whose parts are bounded, printable, and the
 * same when it is read again.
 */
#include "fuzz_input.h"
#include "stepmill/letter.h"
#include "stepmill/utf8.h"

enum { HEADERS = 24 };

static const char *const prefixes[] = {"stepmill.", "__dlq.errors.", "__connect.errors.", "kafka_dlt-", "__streams.errors.", ""};
static const char *const names[] = {"id",
                                    "task_id",
                                    "agent",
                                    "class",
                                    "code",
                                    "stage",
                                    "step",
                                    "attempts",
                                    "redrives",
                                    "first_failed_at",
                                    "failed_at",
                                    "started_at",
                                    "retryable",
                                    "worker",
                                    "schema_id",
                                    "value_omitted",
                                    "fingerprint",
                                    "topic",
                                    "partition",
                                    "offset",
                                    "group",
                                    "delivery.count",
                                    "message",
                                    "exception.class.name",
                                    "connector.name",
                                    "task.id",
                                    "exception.message",
                                    "original-topic",
                                    "original-partition",
                                    "original-offset",
                                    "original-consumer-group",
                                    "exception-fqcn",
                                    "exception-cause-fqcn",
                                    "exception-message",
                                    "key-exception-fqcn",
                                    "key-exception-message",
                                    "exception",
                                    "traceparent",
                                    "trace-id",
                                    "retry_topic-attempts",
                                    "kafka_deliveryAttempt"};
enum { PREFIXES = sizeof prefixes / sizeof *prefixes, NAMES = sizeof names / sizeof *names };

static struct slice name_of(struct fuzz_input *in)
{
    char room[128];
    struct buf name = BUF_IN(room);

    buf_put_text(&name, prefixes[fuzz_number(in, PREFIXES - 1)]);
    buf_put_text(&name, names[fuzz_number(in, NAMES - 1)]);
    return fuzz_copy(in, name.at, name.len);
}

static void check_text(struct slice s, size_t most)
{
    if (!s.at)
        return;
    if (s.len > most || !utf8_valid(s))
        bug("a text of %zu bytes, or none at all", s.len);
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
            bug("a text of several lines");
}

static void check(const struct letter *l)
{
    /* a byte that was repaired takes three */
    const struct slice texts[] = {l->id,    l->topic, l->group, l->task_id, l->session_id,
                                  l->agent, l->class, l->code,  l->stage,   l->worker};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i], 3 * LETTER_ID_MAX);
    check_text(l->message, 3 * LETTER_MESSAGE_MAX);
    check_text(l->value_omitted, 3 * LETTER_MESSAGE_MAX);
    if (!l->id.len || l->id.len > LETTER_ID_MAX)
        bug("an id of %zu bytes", l->id.len);
    if (l->failed_at_ms < 0 || l->first_failed_at_ms < 0 || l->redrives < 0 || l->partition < -1 || l->offset < -1 ||
        l->step < -1 || l->attempts < -1 || l->started_at_ms < -1 || l->schema_id < -1 || l->schema_id > UINT32_MAX)
        bug("a number that is out of range");
    if (strlen(l->fingerprint) != FINGERPRINT_LENGTH)
        bug("a group without a name");
    if (l->trace_id.at && l->trace_id.len != 32)
        bug("a trace id of %zu digits", l->trace_id.len);
    if (l->family > LETTER_FAMILY_PLAIN || !letter_family_name(l->family))
        bug("of no family");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    struct arena *arena = arena_new(4 << 20);
    struct kafka_header headers[HEADERS];
    struct kafka_record r = {.topic = "dlq", .headers = headers};
    struct letter first, again;

    r.partition = (int32_t)fuzz_number(&in, 9);
    r.offset = (int64_t)fuzz_number(&in, INT64_MAX);
    r.timestamp = (int64_t)fuzz_number(&in, UINT64_MAX);
    r.key = fuzz_maybe(&in, 300);
    r.value = fuzz_maybe(&in, 16);
    r.nheaders = fuzz_number(&in, HEADERS);
    for (size_t i = 0; i < r.nheaders; i++) {
        headers[i].name = name_of(&in);
        headers[i].value = fuzz_maybe(&in, 2000);
    }
    if (!arena || !letter_read(&r, arena, &first) || !letter_read(&r, arena, &again))
        bug("no letter");
    check(&first);
    if (!slice_equal(first.id, again.id) || strcmp(first.fingerprint, again.fingerprint) != 0 ||
        first.failed_at_ms != again.failed_at_ms)
        bug("another letter the second time");
    arena_free(arena);
    fuzz_end(&in);
    return 0;
}
