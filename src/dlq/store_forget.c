/* Letters and actions whose records the topics no longer hold leave the index. */
#include "store_parts.h"

enum { PIECE_MAX = 1000 };

static void forget(struct store *s, struct slice id, int64_t num)
{
    static const char *const tables[] = {"DELETE FROM letters WHERE num = ?1", "DELETE FROM bytes WHERE num = ?1"};
    struct statement *st = database_prepare(s->db, "SELECT " LETTER_COLUMNS " FROM letters WHERE num = ?1");
    struct letter_row row;
    struct state state;

    statement_int(st, 1, num);
    if (statement_step(st)) {
        row_read(st, s->arena, &row);
        statement_reset(st);
        words_remove(s, &row.letter, num);
    } else {
        statement_reset(st);
    }
    if (state_load(s, id, &state))
        state_count(s, &state, -1);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        st = database_prepare(s->db, tables[i]);
        statement_int(st, 1, num);
        statement_run(st);
    }
}

struct error store_forget_before(struct store *s, const char *topic, int32_t partition, int64_t oldest_offset, size_t limit,
                                 bool *more)
{
    struct statement *st;
    struct slice ids[PIECE_MAX];
    int64_t nums[PIECE_MAX];
    size_t n = 0;

    limit = limit < PIECE_MAX ? limit : PIECE_MAX;
    store_begin(s);
    st = database_prepare(s->db,
                          "SELECT num, id FROM letters NOT INDEXED WHERE dlq_topic = ?1 AND dlq_partition = ?2 AND dlq_offset < "
                          "?3 ORDER BY num LIMIT ?4");
    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    statement_int(st, 3, oldest_offset);
    statement_int(st, 4, (int64_t)limit);
    while (n < limit && statement_step(st)) {
        nums[n] = statement_int_at(st, 0);
        ids[n++] = store_text(st, 1, s->arena);
    }
    statement_reset(st);
    for (size_t i = 0; i < n; i++)
        forget(s, ids[i], nums[i]);
    *more = n == limit;
    return store_commit(s);
}
