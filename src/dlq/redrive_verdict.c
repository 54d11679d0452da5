/* Which letters may be sent back, as far as the index alone can tell. */
#include "redrive.h"

static const struct {
    const char *name, *text;
} verdicts[REDRIVE_VERDICTS] = {
    [REDRIVE_FINE] = {"fine", "It can be sent back."},
    [REDRIVE_UNKNOWN_LETTER] = {"unknown_letter", "There is no such letter."},
    [REDRIVE_PARKED] = {"parked", "It is parked: unpark it first."},
    [REDRIVE_IN_JOB] = {"in_job", "Another redrive job has chosen it."},
    [REDRIVE_UNDER_WAY] = {"under_way", "It was sent back, and how that ends is not known yet: reopen it to send it again."},
    [REDRIVE_FAILED_AGAIN] = {"failed_again", "It was sent back and failed: a newer letter stands for it."},
    [REDRIVE_RESOLVED] = {"resolved", "It was sent back, and its task has ended: reopen it to send it again."},
    [REDRIVE_DISCARDED] = {"discarded", "It was discarded: reopen it first."},
    [REDRIVE_NO_ORIGIN] = {"no_origin", "It does not say which topic it came from."},
    [REDRIVE_NO_VALUE] = {"no_value", "Its value did not fit into the letter, and its topic no longer holds it."},
    [REDRIVE_UNKNOWN_SCHEMA] = {"unknown_schema", "The registry does not know the schema of its value."},
    [REDRIVE_BAD_VALUE] = {"bad_value", "Its value is no task: edit it, or discard the letter."},
    [REDRIVE_TOO_LARGE] = {"too_large", "Kafka does not take a record of its size."},
    [REDRIVE_NO_TOPIC] = {"no_topic", "The topic it came from is not there, or may not be written to."},
};

const char *redrive_verdict_name(enum redrive_verdict v) { return verdicts[v].name; }
const char *redrive_verdict_text(enum redrive_verdict v) { return verdicts[v].text; }

enum redrive_verdict redrive_verdict_of(const struct letter_row *row, struct slice job)
{
    switch (row->status) {
    case LETTER_OPEN:
    case LETTER_ACKNOWLEDGED:
    case LETTER_RETRY_WAITING:
        break;
    case LETTER_REDRIVING:
        if (!job.at || !slice_equal(job, row->job))
            return REDRIVE_IN_JOB;
        break;
    case LETTER_REDRIVEN:
        return REDRIVE_UNDER_WAY;
    case LETTER_FAILED_AGAIN:
        return REDRIVE_FAILED_AGAIN;
    case LETTER_RESOLVED:
        return REDRIVE_RESOLVED;
    case LETTER_PARKED:
        return REDRIVE_PARKED;
    case LETTER_DISCARDED:
    case LETTER_STATUSES:
        return REDRIVE_DISCARDED;
    }
    if (!row->letter.topic.len)
        return REDRIVE_NO_ORIGIN;
    if (row->letter.value_omitted.len && (row->letter.partition < 0 || row->letter.offset < 0))
        return REDRIVE_NO_VALUE;
    return REDRIVE_FINE;
}
