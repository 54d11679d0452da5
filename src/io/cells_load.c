/* The start read: the task by its script and the session's memory by a plain command, in one write and one answer to the owner.
 */
#include <stdlib.h>

#include "cells_private.h"

/* Both answers are awaited; the memory's comes first and is kept until the other is there. */
struct loading {
    struct cells *cells;
    int awaited;
    struct error error;
    char *texts;
    struct slice *messages;
    size_t nmessages;
};

static void end(struct loading *l, struct ticket t, const struct redis_answer *script)
{
    struct redis_answer failure = {.error = l->error};

    cells_tell(l->cells, CELLS_LOAD, t, failed(l->error) ? &failure : script, l->messages, l->nmessages);
    free(l->texts);
    free(l->messages);
    free(l);
}

static struct error keep_messages(struct loading *l, const struct redis_value *list)
{
    size_t n = redis_count(list), size = 0;
    char *to;

    for (size_t i = 0; i < n; i++)
        size += redis_text(redis_at(list, i)).len;
    l->messages = calloc(n + 1, sizeof *l->messages);
    l->texts = to = malloc(size + 1);
    if (!l->messages || !l->texts)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the session's messages");
    for (size_t i = 0; i < n; i++) {
        struct slice from = redis_text(redis_at(list, i));

        if (from.len)
            memcpy(to, from.at, from.len);
        l->messages[i] = (struct slice){to, from.len};
        to += from.len;
    }
    l->nmessages = n;
    return error_none();
}

static void on_messages(void *loading, struct ticket t, const struct redis_answer *a)
{
    struct loading *l = loading;

    if (!failed(l->error))
        l->error = failed(a->error) ? a->error : keep_messages(l, a->value);
    if (--l->awaited == 0) /* the script's answer came before: an error, kept */
        end(l, t, NULL);
}

static void on_script(void *loading, struct ticket t, const struct redis_answer *a)
{
    struct loading *l = loading;

    if (failed(a->error))
        l->error = a->error;
    if (--l->awaited == 0) {
        end(l, t, a);
        return;
    }
    /* The memory was refused while the script was sent: nothing whole can come of it. */
    if (!failed(l->error))
        l->error = error_make(CLASS_WAIT, "redis_busy", "too many calls wait for Redis");
}

void cells_load(struct cells *c, struct ticket t, const struct cells_load *load)
{
    struct arguments *a = &c->arguments;
    struct loading *l = calloc(1, sizeof *l);

    if (!l)
        bug("out of memory for a call to Redis");
    l->cells = c;
    l->awaited = 1;
    arguments_begin(a);
    put_argument(a, SLICE("LRANGE"));
    put_key(c, "session:", load->session_id, ":messages");
    put_number(a, 0);
    put_number(a, -1);
    l->awaited += send_command_for(c, t, on_messages, l);
    if (l->awaited == 2)
        arguments_begin(a);
    put_key(c, "checkpoint:", load->task_id, "");
    put_key(c, "done:", load->task_id, "");
    put_key(c, "cancel:", load->task_id, "");
    put_key(c, "claims:", load->task_id, "");
    put_key(c, "tokens:session:", load->session_id, "");
    put_argument(a, slice_of(c->process));
    put_number(a, load->waits_above);
    send_script_for(c, CELLS_LOAD, t, 5, on_script, l);
}
