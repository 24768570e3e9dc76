/* reader.h — script_reader_disk (declared in script.h). A file of its own so that recorders can sit
 * in front of it without knowing Lua. */
#ifndef SCRIPT_READER_H
#define SCRIPT_READER_H

#include "script/script.h"

#endif
