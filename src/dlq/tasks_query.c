/* Finding tasks and their steps. */
#include "tasks_parts.h"

enum { STEPS_MAX = 1000 };

#define TASK_COLUMNS                                                                                                             \
    "num, task_id, session_id, agent, parent, trace_id, status, error, steps, tool_calls, redrives, prompt_tokens, "             \
    "completion_tokens, first_ms, last_ms, last_seq, last_kind, prompt"

static struct error outcome(struct tasks *t, const struct arena *arena)
{
    struct error error = database_error(t->db);

    database_error_clear(t->db);
    if (!failed(error) && arena && arena_failed(arena))
        error = error_make(CLASS_INTERNAL, "out_of_memory", "the answer is too large");
    return error;
}

static struct slice text(struct statement *st, int column, struct arena *arena)
{
    struct slice s = statement_text_at(st, column);

    return s.at ? arena_copy(arena, s) : s;
}

static void read_task(struct statement *st, struct arena *arena, struct task_row *r)
{
    *r = (struct task_row){.num = statement_int_at(st, 0),
                           .task_id = text(st, 1, arena),
                           .session_id = text(st, 2, arena),
                           .agent = text(st, 3, arena),
                           .parent_task_id = text(st, 4, arena),
                           .trace_id = text(st, 5, arena),
                           .status = (enum task_status)statement_int_at(st, 6),
                           .error = text(st, 7, arena),
                           .steps = (int32_t)statement_int_at(st, 8),
                           .tool_calls = (int32_t)statement_int_at(st, 9),
                           .redrives = (int32_t)statement_int_at(st, 10),
                           .prompt_tokens = statement_int_at(st, 11),
                           .completion_tokens = statement_int_at(st, 12),
                           .first_ms = statement_int_at(st, 13),
                           .last_ms = statement_int_at(st, 14),
                           .last_seq = (int32_t)statement_int_at(st, 15),
                           .last_kind = text(st, 16, arena),
                           .prompt = text(st, 17, arena)};
}

static void put_query(const struct task_filter *f, struct buf *sql)
{
    buf_put_text(sql, "SELECT " TASK_COLUMNS " FROM tasks WHERE num > ?1 AND num < ?2");
    if (f->task_id.at)
        buf_put_text(sql, " AND task_id = ?3");
    if (f->session_id.at)
        buf_put_text(sql, " AND session_id = ?4");
    if (f->agent.at)
        buf_put_text(sql, " AND agent = ?5");
    if (f->statuses) {
        buf_put_text(sql, " AND status IN (");
        for (int i = 0, n = 0; i < TASK_STATUSES; i++)
            if (f->statuses & 1U << i)
                buf_printf(sql, n++ ? ", %d" : "%d", i);
        buf_put_byte(sql, ')');
    }
    buf_put_text(sql, " ORDER BY num DESC LIMIT ?6");
}

struct error tasks_list(struct tasks *t, const struct task_filter *f, int64_t cursor, size_t limit, struct arena *arena,
                        struct task_page *page)
{
    int64_t low = f->from_ms > 0 ? task_num_at(f->from_ms) - 1 : 0;
    int64_t high = f->to_ms > 0 ? task_num_at(f->to_ms) : INT64_MAX;
    struct task_row *rows = arena_alloc(arena, (limit + 1) * sizeof *rows);
    char room[1024];
    struct buf sql = BUF_IN(room);
    struct statement *st;
    size_t n = 0;

    put_query(f, &sql);
    st = database_prepare_text(t->db, buf_slice(&sql));
    statement_int(st, 1, low);
    statement_int(st, 2, cursor && cursor < high ? cursor : high);
    if (f->task_id.at)
        statement_text(st, 3, f->task_id);
    if (f->session_id.at)
        statement_text(st, 4, f->session_id);
    if (f->agent.at)
        statement_text(st, 5, f->agent);
    statement_int(st, 6, (int64_t)limit + 1);
    while (rows && n <= limit && statement_step(st))
        read_task(st, arena, &rows[n++]);
    statement_reset(st);
    *page = (struct task_page){.rows = rows, .n = n > limit ? limit : n, .next = n > limit && limit ? rows[limit - 1].num : 0};
    return outcome(t, arena);
}

struct error tasks_task(struct tasks *t, struct slice task_id, struct arena *arena, struct task_row *task, bool *found)
{
    struct statement *st = database_prepare(t->db, "SELECT " TASK_COLUMNS " FROM tasks WHERE task_id = ?1");

    statement_text(st, 1, task_id);
    *found = statement_step(st);
    if (*found)
        read_task(st, arena, task);
    statement_reset(st);
    return outcome(t, arena);
}

struct error tasks_steps(struct tasks *t, struct slice task_id, struct arena *arena, struct task_steps *steps)
{
    struct statement *st =
        database_prepare(t->db, "SELECT seq, kind, at_ms, topic, partition, offset, name, outcome, text, text_cut, "
                                "prompt_tokens, completion_tokens, duration_ms, attempts, calls, span_id, entry FROM steps "
                                "WHERE task_id = ?1 ORDER BY seq LIMIT 1000");
    struct task_step *rows = arena_alloc(arena, STEPS_MAX * sizeof *rows);
    size_t n = 0;

    statement_text(st, 1, task_id);
    while (rows && n < STEPS_MAX && statement_step(st))
        rows[n++] = (struct task_step){.seq = (int32_t)statement_int_at(st, 0),
                                       .kind = (enum event_kind)statement_int_at(st, 1),
                                       .at_ms = statement_int_at(st, 2),
                                       .topic = text(st, 3, arena),
                                       .partition = (int32_t)statement_int_at(st, 4),
                                       .offset = statement_int_at(st, 5),
                                       .name = text(st, 6, arena),
                                       .outcome = text(st, 7, arena),
                                       .text = text(st, 8, arena),
                                       .text_cut = statement_int_at(st, 9) != 0,
                                       .prompt_tokens = statement_int_at(st, 10),
                                       .completion_tokens = statement_int_at(st, 11),
                                       .duration_ms = statement_int_at(st, 12),
                                       .attempts = (int32_t)statement_int_at(st, 13),
                                       .calls = (int32_t)statement_int_at(st, 14),
                                       .span_id = text(st, 15, arena),
                                       .entry = text(st, 16, arena)};
    statement_reset(st);
    *steps = (struct task_steps){rows, n};
    return outcome(t, arena);
}

struct error tasks_outcomes(struct tasks *t, const struct slice *ids, size_t n, struct task_outcome *outcomes)
{
    struct statement *st = database_prepare(t->db, "SELECT status, redrives, last_ms FROM tasks WHERE task_id = ?1");

    for (size_t i = 0; i < n; i++) {
        outcomes[i] = (struct task_outcome){TASK_RUNNING, -1, -1};
        statement_text(st, 1, ids[i]);
        if (statement_step(st))
            outcomes[i] = (struct task_outcome){(enum task_status)statement_int_at(st, 0), (int32_t)statement_int_at(st, 1),
                                                statement_int_at(st, 2)};
        statement_reset(st);
    }
    return outcome(t, NULL);
}

struct error tasks_ended(struct tasks *t, struct slice agent, int64_t from_ms, int64_t to_ms, int64_t *ended, int64_t *failed)
{
    struct statement *st =
        database_prepare(t->db, "SELECT count(*), coalesce(sum(status = 2), 0) FROM tasks WHERE agent = ?1 AND num >= "
                                "?2 AND num < ?3 AND status IN (1, 2, 3)");

    _Static_assert(TASK_COMPLETED == 1 && TASK_FAILED == 2 && TASK_CANCELLED == 3, "the numbers above");
    statement_text(st, 1, agent);
    statement_int(st, 2, task_num_at(from_ms));
    statement_int(st, 3, task_num_at(to_ms));
    *ended = *failed = 0;
    if (statement_step(st)) {
        *ended = statement_int_at(st, 0);
        *failed = statement_int_at(st, 1);
    }
    statement_reset(st);
    return outcome(t, NULL);
}
