/* Slots: numbers that no two live processes of one host hold at a time, whoever runs them. */
#ifndef WORKER_SLOT_H
#define WORKER_SLOT_H

#include <stddef.h>

/* The first of these folders that everybody may write to, or NULL. It must not depend on who asks: users that lock in different
 * folders would take the same slot. */
const char *slot_folder(const char *const *folders, size_t n);

/* Locks the lowest free slot of this group. The descriptor returned holds it until it is closed or the process ends, however it
 * ends. -1: there is none, or the folder can't be used. */
int slot_lock(const char *folder, const char *group, int *number);

#endif
