/* Rows of letters and what stands in them; one letter with its bytes. */
#include "store_parts.h"

void row_read(struct statement *st, struct arena *arena, struct letter_row *row)
{
    struct slice print = statement_text_at(st, 28);

    *row = (struct letter_row){
        .num = statement_int_at(st, 0),
        .letter =
            {
                .id = store_text(st, 1, arena),
                .family = (enum letter_family)statement_int_at(st, 2),
                .dlq_topic = store_text(st, 3, arena),
                .dlq_partition = (int32_t)statement_int_at(st, 4),
                .dlq_offset = statement_int_at(st, 5),
                .topic = store_text(st, 6, arena),
                .partition = (int32_t)statement_int_at(st, 7),
                .offset = statement_int_at(st, 8),
                .group = store_text(st, 9, arena),
                .task_id = store_text(st, 10, arena),
                .session_id = store_text(st, 11, arena),
                .agent = store_text(st, 12, arena),
                .class = store_text(st, 13, arena),
                .code = store_text(st, 14, arena),
                .stage = store_text(st, 15, arena),
                .message = store_text(st, 16, arena),
                .step = (int32_t)statement_int_at(st, 17),
                .attempts = (int32_t)statement_int_at(st, 18),
                .redrives = (int32_t)statement_int_at(st, 19),
                .first_failed_at_ms = statement_int_at(st, 20),
                .failed_at_ms = statement_int_at(st, 21),
                .started_at_ms = statement_int_at(st, 22),
                .retryable = statement_int_at(st, 23) != 0,
                .worker = store_text(st, 24, arena),
                .schema_id = statement_int_at(st, 25),
                .value_omitted = store_text(st, 26, arena),
                .trace_id = store_text(st, 27, arena),
            },
        .occurrences = (int32_t)statement_int_at(st, 29),
        .value_size = statement_int_at(st, 30),
        .value_kept = statement_int_at(st, 31) != 0,
        .status = (enum letter_status)statement_int_at(st, 32),
        .status_at_ms = statement_int_at(st, 33),
        .due_at_ms = statement_int_at(st, 34),
        .sent = (int32_t)statement_int_at(st, 35),
        .job = store_text(st, 36, arena),
        .assigned = store_text(st, 37, arena),
        .newer_id = store_text(st, 38, arena),
        .notes = (int32_t)statement_int_at(st, 39),
    };
    if (print.len <= FINGERPRINT_LENGTH && print.at)
        memcpy(row->letter.fingerprint, print.at, print.len);
}

/* ---- Headers: length and bytes of each name and value; an absent value has the length -1. */

static void put_size(struct buf *to, uint32_t n)
{
    const unsigned char bytes[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                                    (unsigned char)n};

    buf_put(to, bytes, sizeof bytes);
}

void headers_put(const struct kafka_header *headers, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        put_size(to, (uint32_t)headers[i].name.len);
        buf_put_slice(to, headers[i].name);
        put_size(to, headers[i].value.at ? (uint32_t)headers[i].value.len : UINT32_MAX);
        buf_put_slice(to, headers[i].value);
    }
}

static bool take_piece(struct slice *from, struct slice *piece, bool may_be_absent)
{
    uint32_t n = 0;

    if (from->len < 4)
        return false;
    for (int i = 0; i < 4; i++)
        n = n << 8 | (unsigned char)from->at[i];
    from->at += 4;
    from->len -= 4;
    if (may_be_absent && n == UINT32_MAX) {
        *piece = (struct slice){NULL, 0};
        return true;
    }
    if (n > from->len)
        return false;
    *piece = (struct slice){from->at, n};
    from->at += n;
    from->len -= n;
    return true;
}

bool headers_read(struct slice packed, struct arena *arena, const struct kafka_header **headers, size_t *n)
{
    struct slice rest = packed, name, value;
    struct kafka_header *at;
    size_t count = 0;

    *headers = NULL;
    *n = 0;
    while (rest.len) {
        if (!take_piece(&rest, &name, false) || !take_piece(&rest, &value, true))
            return false;
        count++;
    }
    at = arena_alloc(arena, (count + 1) * sizeof *at);
    if (!at)
        return false;
    rest = packed;
    for (size_t i = 0; i < count; i++)
        if (!take_piece(&rest, &at[i].name, false) || !take_piece(&rest, &at[i].value, true))
            return false;
    *headers = at;
    *n = count;
    return true;
}

/* ---- One letter */

struct error store_letter_row(struct store *s, struct slice id, struct arena *arena, struct letter_row *row, bool *found)
{
    struct statement *st = database_prepare(s->db, "SELECT " LETTER_COLUMNS " FROM letters WHERE id = ?1");

    statement_text(st, 1, id);
    *found = statement_step(st);
    if (*found)
        row_read(st, arena, row);
    statement_reset(st);
    return store_outcome(s, arena);
}

struct error store_letter(struct store *s, struct slice id, struct arena *arena, struct letter_full *letter, bool *found)
{
    struct statement *st = database_prepare(s->db, "SELECT key, headers, value FROM bytes WHERE num = ?1");
    struct error error;

    *letter = (struct letter_full){0};
    error = store_letter_row(s, id, arena, &letter->row, found);
    if (failed(error) || !*found)
        return error;
    statement_int(st, 1, letter->row.num);
    if (statement_step(st)) {
        struct slice key = statement_blob_at(st, 0), headers = statement_blob_at(st, 1), value = statement_blob_at(st, 2);

        letter->key = arena_copy(arena, key);
        letter->value = arena_copy(arena, value);
        headers = arena_copy(arena, headers);
        if (headers.at && !headers_read(headers, arena, &letter->headers, &letter->nheaders))
            error = error_make(CLASS_INTERNAL, "database_corrupt", "the kept headers of a letter are damaged: delete the index");
    }
    statement_reset(st);
    return failed(error) ? error : store_outcome(s, arena);
}
