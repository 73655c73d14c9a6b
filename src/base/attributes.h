/* What every header may use: marks for functions, and the size of an array. */
#ifndef GH_BASE_ATTRIBUTES_H
#define GH_BASE_ATTRIBUTES_H

#define GH_MUST_USE __attribute__((warn_unused_result))
#define GH_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#ifndef GH_COUNT
#define GH_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#endif
#endif
