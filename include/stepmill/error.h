/* What went wrong, and what the caller must do about it.
 *
 * Functions that can fail return `struct error` by value. The class says how to react (DELIVERY §5), the code is a stable
 * name for people, metrics and dead letters, the text is one static English sentence; detail goes to the log, where it happened.
 * Codes and texts are static strings: an error owns nothing and may be copied and kept for ever.
 */
#ifndef STEPMILL_ERROR_H
#define STEPMILL_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum error_class {
    CLASS_NONE,      /* no error */
    CLASS_AGAIN,     /* may work at once or in seconds: time-out, 500, connection lost */
    CLASS_SLOW_DOWN, /* the other side asks for a pause: 429, 529 */
    CLASS_WAIT,      /* an outage: wait without using an attempt */
    CLASS_POISON,    /* this record can never be a task */
    CLASS_REJECTED,  /* this task can never succeed as it is */
    CLASS_EXHAUSTED, /* all attempts used up */
    CLASS_TIMEOUT,   /* the agent's deadline passed */
    CLASS_LIMIT,     /* the user's own limit or wish: budget, cancel, refusal */
    CLASS_LOST,      /* the partition is gone: drop silently */
    CLASS_CONFIG,    /* the operator must change something; never met while a task runs */
    CLASS_INTERNAL,  /* out of memory, or a limit of the machine */
};

struct error {
    enum error_class class;
    const char *code; /* e.g. "bad_magic"; NULL when there is no error */
    const char *text; /* one sentence, no secrets, no data of the user */
};

#define MUST_CHECK __attribute__((warn_unused_result))

static inline struct error error_none(void) { return (struct error){CLASS_NONE, NULL, NULL}; }

static inline bool failed(struct error e) { return e.class != CLASS_NONE; }

static inline struct error error_make(enum error_class class, const char *code, const char *text)
{
    return (struct error){class, code, text};
}

/* "again", "slow_down", …: the word used in logs, metrics and dead-letter headers. */
const char *error_class_name(enum error_class class);

/* Writes "BUG: …" to stderr and aborts: for states that the code itself must make impossible. */
__attribute__((noreturn, format(printf, 1, 2))) void bug(const char *format, ...);

#endif
