/* What the files of the simulated store share. */
#ifndef SIM_STORE_PRIVATE_H
#define SIM_STORE_PRIVATE_H

#include "store.h"

enum object_kind { OBJECT_NONE, OBJECT_TEXT, OBJECT_HASH, OBJECT_LIST };

struct field {
    struct slice name, value; /* of a list: value only */
};

struct object {
    struct slice key;
    uint32_t hash;
    enum object_kind kind; /* NONE: there is no such key */
    int64_t expires_ms;    /* -1: never */
    struct slice text;
    struct field *fields;
    size_t nfields, room;
    uint64_t touched; /* the call that has a copy in the undo list */
};

/* What an object was before a call. */
struct undo {
    uint64_t call;
    size_t object;
    struct object before;
};

struct store {
    struct memory *memory;
    struct object *objects;
    size_t nobjects, room;
    struct undo *undo;
    size_t nundo, undo_room;
    uint64_t call;
    int64_t now_ms;
};

/* The object of this key, or NULL when there is none (or it has expired). */
struct object *store_find(struct store *s, struct slice key);
/* The same, to be changed: made when it is not there; NULL when it is of another kind. */
struct object *store_change(struct store *s, struct slice key, enum object_kind kind);
/* A copy is kept, so that it may be changed. */
void store_touch(struct store *s, struct object *o);
void store_delete(struct store *s, struct object *o);
struct field *object_field(const struct object *o, struct slice name);
void object_append(struct store *s, struct object *o, struct slice name, struct slice value);

#endif
