/* The five bytes before each Avro record. */
#include "stepmill/wire_format.h"

struct error wire_parse(struct slice value, uint32_t *schema_id, struct slice *avro)
{
    const unsigned char *at = (const unsigned char *)value.at;

    if (value.len >= WIRE_HEADER_SIZE && at[0] == 0) {
        *schema_id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
        *avro = (struct slice){value.at + WIRE_HEADER_SIZE, value.len - WIRE_HEADER_SIZE};
        return error_none();
    }
    if (value.len && (at[0] == '{' || at[0] == '['))
        return error_make(CLASS_POISON, "plain_json",
                          "the value is plain JSON; produce Avro in Confluent wire format (a Schema Registry serializer, or "
                          "`stepmill produce`)");
    if (!value.at)
        return error_make(CLASS_POISON, "not_wire_format", "the record has no value; a task is Avro in Confluent wire format");
    return error_make(
        CLASS_POISON, "not_wire_format",
        "the value is not in Confluent wire format (byte 0, 4-byte schema id, Avro); produce with a Schema Registry serializer");
}

void wire_put(struct buf *to, uint32_t schema_id)
{
    char header[WIRE_HEADER_SIZE] = {0, (char)(schema_id >> 24), (char)(schema_id >> 16), (char)(schema_id >> 8),
                                     (char)schema_id};

    buf_put(to, header, sizeof header);
}
