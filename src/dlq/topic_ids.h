/* Which topics an index was folded from. Its places are worth nothing for a topic of the same name that was made later, or in
 * another cluster: the brokers' ids tell them apart. For both indexes, beside their places.
 */
#ifndef DLQ_TOPIC_IDS_H
#define DLQ_TOPIC_IDS_H

#include "stepmill/database.h"

#define TOPIC_IDS_TABLE "CREATE TABLE topics (name TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;"

/* Whether the index was folded from this topic. One whose id it does not know is from now on the one. The writer's, in a batch or
 * between two. */
bool topic_ids_agree(struct database *db, const char *topic, const char *id);
/* Deletes every row, in the open transaction: readers have the file open, so it stays. Tables of full text, named "words…", are
 * the caller's. */
void topic_ids_empty(struct database *db);

#endif
