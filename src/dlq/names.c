/* Words for what the index knows: in its API, its metrics, its logs. */
#include "store.h"
#include "tasks.h"

const char *letter_status_name(enum letter_status status)
{
    static const char *const names[] = {
        [LETTER_OPEN] = "open",
        [LETTER_ACKNOWLEDGED] = "acknowledged",
        [LETTER_RETRY_WAITING] = "retry_waiting",
        [LETTER_REDRIVING] = "redriving",
        [LETTER_REDRIVEN] = "redriven",
        [LETTER_FAILED_AGAIN] = "failed_again",
        [LETTER_RESOLVED] = "resolved",
        [LETTER_PARKED] = "parked",
        [LETTER_DISCARDED] = "discarded",
    };

    _Static_assert(sizeof names / sizeof *names == LETTER_STATUSES, "one name each");
    return names[status];
}

bool letter_status_read(struct slice name, enum letter_status *status)
{
    for (enum letter_status s = 0; s < LETTER_STATUSES; s++)
        if (slice_is(name, letter_status_name(s))) {
            *status = s;
            return true;
        }
    return false;
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {[JOB_REQUESTED] = "requested",
                                        [JOB_RUNNING] = "running",
                                        [JOB_PAUSED] = "paused",
                                        [JOB_CANCELLED] = "cancelled",
                                        [JOB_FINISHED] = "finished"};

    _Static_assert(sizeof names / sizeof *names == JOB_STATES, "one name each");
    return names[state];
}

const char *task_status_name(enum task_status status)
{
    static const char *const names[] = {[TASK_RUNNING] = "running",
                                        [TASK_COMPLETED] = "completed",
                                        [TASK_FAILED] = "failed",
                                        [TASK_CANCELLED] = "cancelled",
                                        [TASK_PARKED] = "parked"};

    _Static_assert(sizeof names / sizeof *names == TASK_STATUSES, "one name each");
    return names[status];
}
