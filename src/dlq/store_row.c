/* Rows of letters and what stands in them. */
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
