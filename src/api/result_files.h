/* Files of a training's result in its folder, by name: what --overwrite removes, and what it must not find where no training was. */
#ifndef API_RESULT_FILES_H
#define API_RESULT_FILES_H

#include <stdbool.h>

/* folder: open. The first of a result's files in it, NULL: none. Static storage. */
const char *result_files_find(int folder);
/* An adapter with dimensions, whole (model/adapter_preference.c). */
#define RESULT_DIMENSIONS "panacea.safetensors"
/* Of an adapter (with `dimensions`: of one for several) or a model that should be whole there: a file that is missing, or "what it made"; NULL: none.
 * Static storage. */
const char *result_files_missing(int folder, bool dimensions);
/* Removes a result's files. */
void result_files_remove(int folder);
/* The same of a folder directly below, and that folder where nothing else is in it. A link is left alone: it leads out of `folder`. */
void result_files_remove_below(int folder, const char *name);

/* Removes the folder of a model or adapter that a killed writer left unfinished: its files, some of them still temporary, none held by a living writer,
 * and nothing else. Every other folder stays as it is. */
void result_folder_sweep(const char *path);

#endif
