/* The ids of the topics that an index was folded from, and emptying it when they are others. */
#include "topic_ids.h"

enum { SQL_MAX = 64 * 1024 };

bool topic_ids_agree(struct database *db, const char *topic, const char *id)
{
    struct statement *st = database_prepare(db, "SELECT id FROM topics WHERE name = ?1");
    bool known, same;

    statement_text(st, 1, slice_of(topic));
    known = statement_step(st);
    same = known && slice_is(statement_text_at(st, 0), id);
    statement_reset(st);
    if (known)
        return same;
    st = database_prepare(db, "INSERT INTO topics (name, id) VALUES (?1, ?2)");
    statement_text(st, 1, slice_of(topic));
    statement_text(st, 2, slice_of(id));
    statement_run(st);
    return true;
}

void topic_ids_empty(struct database *db)
{
    struct statement *st =
        database_prepare(db, "SELECT group_concat('DELETE FROM ' || name, ';') FROM sqlite_master WHERE type = 'table' AND "
                             "name NOT LIKE 'words%' AND name NOT LIKE 'sqlite%'");
    struct buf sql = BUF(SQL_MAX);

    if (statement_step(st))
        buf_put_slice(&sql, statement_text_at(st, 0));
    statement_reset(st); /* a table that is being read cannot be emptied */
    database_run(db, buf_text(&sql));
    buf_free(&sql);
}
